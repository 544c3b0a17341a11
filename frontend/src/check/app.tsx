/** The page: a button, the result in words, the steps, and the code for support. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Check as CheckMark, Cross, Mark } from "../shared/icons";
import { Level } from "../shared/level";
import { useChanges } from "../shared/observable";
import { Check } from "./check";
import type { Admission } from "./entry";
import { Graph } from "./graph";
import { rowsOf, type Row } from "./texts";
import { verdictOf } from "./verdict";

export function App({ admission }: { admission: Admission }) {
  const check = useMemo(() => new Check(admission), []);
  useChanges(check);
  useEffect(() => {
    document.title = "Check your connection · Portico";
  }, []);
  return (
    <main class="check" data-testid="check" data-phase={check.phase}>
      <div class="check-sheet">
        <header class="check-top">
          <Mark />
          <h1>Check your connection</h1>
        </header>
        <Outcome check={check} />
        <Devices check={check} />
        {check.samples.length > 0 && <Graph samples={check.samples} />}
        <ol class="steps" aria-label="Steps">
          {rowsOf(check).map((row) => (
            <Step key={row.step} row={row} />
          ))}
        </ol>
        {check.phase === "done" && <Code code={check.code} />}
      </div>
    </main>
  );
}

const LABELS = { ready: "Start", running: "Checking…", done: "Check again" };

function Outcome({ check }: { check: Check }) {
  const verdict = verdictOf(check.results);
  const isDone = check.phase === "done";
  return (
    <section class={`outcome ${isDone ? verdict.tone : ""}`}>
      <div aria-live="polite" data-testid="verdict" data-tone={isDone ? verdict.tone : ""}>
        {check.phase === "ready" && (
          <>
            <h2>Will calls work on this device, in this network?</h2>
            <p>
              The check takes about half a minute. It opens your microphone and camera here, and sends a generated picture and
              tone to the server and back: nothing of you.
            </p>
          </>
        )}
        {check.phase === "running" && <h2>Checking your connection…</h2>}
        {isDone && (
          <>
            <h2>{verdict.title}</h2>
            {verdict.details.map((detail) => (
              <p key={detail}>{detail}</p>
            ))}
          </>
        )}
      </div>
      {check.phase === "running" && <progress aria-label="Progress" value={check.progress} max={1} />}
      {/* The button stays while the check runs, so that it keeps the focus of the keyboard. */}
      <button
        class="primary"
        data-testid="start"
        type="button"
        aria-disabled={check.phase === "running"}
        onClick={() => void check.run()}
      >
        {check.phase === "running" ? <span class="spinner" aria-hidden="true" /> : null}
        {LABELS[check.phase]}
      </button>
    </section>
  );
}

function Devices({ check }: { check: Check }) {
  const { microphone, camera } = check;
  if (!microphone.track && !camera.track) return null;
  return (
    <section class="check-devices" aria-label="Your devices">
      {camera.track && <Picture track={camera.track} />}
      {microphone.track && <Level track={microphone.track} />}
    </section>
  );
}

function Picture({ track }: { track: MediaStreamTrack }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    video.srcObject = new MediaStream([track]);
    video.play().catch((error: unknown) => console.debug(error));
  }, [track]);
  return <video ref={element} aria-label="Your camera" autoplay playsInline muted />;
}

const SPOKEN = { waits: "waits", runs: "running", good: "passed", warns: "with a fault", bad: "failed", none: "not tested" };

function Step({ row }: { row: Row }) {
  return (
    <li class={`step ${row.mark}`} data-testid={`step-${row.step}`} data-mark={row.mark}>
      <span class="step-mark" aria-hidden="true">
        {row.mark === "good" && <CheckMark />}
        {row.mark === "bad" && <Cross />}
        {row.mark === "warns" && "!"}
        {row.mark === "runs" && <span class="spinner" />}
      </span>
      <span class="for-screen-readers">{SPOKEN[row.mark]}: </span>
      <span class="step-name">{row.name}</span>
      <span class="step-text">{row.text}</span>
    </li>
  );
}

function Code({ code }: { code: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = (): void => {
    // Without https there is no clipboard; the code can be selected.
    void navigator.clipboard?.writeText(code).then(() => setCopied(true));
  };
  return (
    <section class="check-code">
      <p>If something does not work, send this code to your support. It holds these results, and neither name nor address.</p>
      <output data-testid="code">{code}</output>
      <button class="quiet" type="button" onClick={copy}>
        {isCopied ? "Copied" : "Copy"}
      </button>
    </section>
  );
}
