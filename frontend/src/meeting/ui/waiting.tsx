/** The screen while the page tries to rejoin: why, when the next try is, and buttons to try now or to stop. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Ending } from "../call/ending";
import { Mark } from "../../shared/icons";

interface Props {
  ending: Ending;
  /** `performance.now()` of the next try; undefined during a try. */
  dueAt: number | undefined;
  onTryNow: () => void;
  onGiveUp: () => void;
}

export function Waiting({ ending, dueAt, onTryNow, onGiveUp }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const isOnline = useOnline();
  useEffect(() => heading.current?.focus(), []);
  const isTrying = dueAt === undefined;
  return (
    <main class="ended">
      <div class={`card${ending.kind === "full" ? "" : " problem"}`}>
        <Mark />
        <h1 ref={heading} tabIndex={-1} data-testid="status" data-state={ending.kind}>
          {ending.title}
        </h1>
        <p class="lead" data-testid="notice" role="alert">
          {isOnline ? ending.waiting : "Your device is offline. This page brings you back when its network returns."}
        </p>
        {/* No live region: a screen reader would announce each second. */}
        <p class="countdown" data-testid="countdown" data-trying={String(isTrying)}>
          <span class="spinner" aria-hidden="true" />
          {isTrying ? "Trying now…" : <SecondsUntil dueAt={dueAt} />}
        </p>
        <button type="button" class="primary" data-testid="try-now" aria-disabled={isTrying} onClick={() => isTrying || onTryNow()}>
          Try now
        </button>
        <button type="button" class="text-button" data-testid="stop" onClick={onGiveUp}>
          Stop trying
        </button>
      </div>
    </main>
  );
}

function SecondsUntil({ dueAt }: { dueAt: number }) {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return <>Trying again in {Math.max(1, Math.ceil((dueAt - now) / 1000))} s</>;
}

function useOnline(): boolean {
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const changed = (): void => setOnline(navigator.onLine);
    for (const name of ["online", "offline"] as const) window.addEventListener(name, changed);
    changed(); // the state may have changed between the first render and this effect
    return () => {
      for (const name of ["online", "offline"] as const) window.removeEventListener(name, changed);
    };
  }, []);
  return isOnline;
}
