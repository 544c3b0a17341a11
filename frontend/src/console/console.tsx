/** The console: asks for an API key, shows the sessions of its account, asks again when the key is refused. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useChanges } from "../shared/observable";
import { StoredText } from "../shared/storage";
import { Mark } from "../shared/icons";
import { Archive } from "./archive";
import { MediaNodes } from "./node_rows";
import { Rest } from "./rest";
import { SessionCard } from "./session_card";

/** Kept in sessionStorage, so closing the tab deletes it: an API key opens the whole account. */
const storedKey = new StoredText("sessionStorage", "portico.api-key");

export function Console() {
  const [key, setKey] = useState(() => storedKey.get());
  const [problem, setProblem] = useState<string>();
  const open = (given: string): void => {
    storedKey.set(given);
    setProblem(undefined);
    setKey(given);
  };
  const close = (why?: string): void => {
    storedKey.delete();
    setProblem(why);
    setKey("");
  };
  if (!key) return <KeyForm problem={problem} onKey={open} />;
  const refused = (): void => close("This API key is not valid. `portico keys create` makes another one.");
  return <Account apiKey={key} onRefused={refused} onClose={() => close()} />;
}

function KeyForm({ problem, onKey }: { problem: string | undefined; onKey: (key: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="ended">
      <form
        class="card key"
        onSubmit={(event) => {
          event.preventDefault();
          const given = field.current?.value.trim();
          if (given) onKey(given);
        }}
      >
        <Mark />
        <h1>Sessions and compositions</h1>
        <p class="lead">Recordings of each session, and compositions of them.</p>
        <label class="field">
          <span>API key</span>
          <input ref={field} data-testid="key" type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <button class="primary" data-testid="open" type="submit">
          Open
        </button>
        <p class="footnote">The key is kept in this tab only, until you close it.</p>
        <div role="alert">
          {problem && (
            <p class="message" data-testid="notice">
              {problem}
            </p>
          )}
        </div>
      </form>
    </main>
  );
}

interface AccountProps {
  apiKey: string;
  onRefused: () => void;
  onClose: () => void;
}

function Account({ apiKey, onRefused, onClose }: AccountProps) {
  const rest = useMemo(() => new Rest(apiKey), [apiKey]);
  const archive = useMemo(() => new Archive(rest), [rest]);
  useChanges(archive);
  useEffect(() => {
    archive.start();
    return () => archive.stop();
  }, [archive]);
  useEffect(() => {
    if (archive.isRefused) onRefused();
  }, [archive.isRefused]);
  return (
    <div class="console">
      <header class="top">
        <Mark />
        <h1>Sessions and compositions</h1>
        <button type="button" class="quiet" data-testid="close" onClick={onClose}>
          Forget key
        </button>
      </header>
      <div role="status" class="problem-space">
        {archive.problem && (
          <p class="message" data-testid="problem">
            {archive.problem}
          </p>
        )}
      </div>
      <main>
        <MediaNodes rest={rest} />
        <Sessions archive={archive} />
      </main>
    </div>
  );
}

function Sessions({ archive }: { archive: Archive }) {
  if (!archive.isRead) {
    return archive.problem ? null : (
      <p class="first-read">
        <span class="spinner" aria-hidden="true" /> Loading…
      </p>
    );
  }
  if (archive.sessions.length === 0) {
    return <p class="first-read">There are no sessions yet. A session appears here as soon as a participant joins a room.</p>;
  }
  return (
    <>
      <ol class="sessions">
        {archive.sessions.map((session) => (
          <SessionCard
            key={session.id}
            session={session}
            roomName={archive.roomNames.get(session.room_id)}
            recordings={archive.recordings.filter((each) => each.session_id === session.id).reverse()}
            compositions={archive.compositions.filter((each) => each.session_id === session.id)}
            onCreateComposition={() => archive.createComposition(session.id)}
          />
        ))}
      </ol>
      {archive.hasOlder && (
        <button type="button" class="quiet older" onClick={() => archive.showOlder()}>
          Older sessions
        </button>
      )}
    </>
  );
}
