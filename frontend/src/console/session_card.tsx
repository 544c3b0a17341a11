/** One session: its participants, recordings and compositions. */
import { useState } from "preact/hooks";
import { Camera, Microphone } from "../shared/icons";
import { isUnderway } from "./archive";
import { CompositionRow } from "./composition_row";
import { Reel } from "./icons";
import { Playable } from "./playable";
import { Refused, type Composition, type Recording, type Session } from "./rest";
import { namesIn, factsOf, nameOf, roomTitle, timesOf } from "./texts";

/** A session with more recordings shows their list closed at first. */
const OPEN_RECORDINGS_MAX = 4;

interface Props {
  session: Session;
  roomName: string | null | undefined;
  /** Oldest first. */
  recordings: Recording[];
  /** Newest first. */
  compositions: Composition[];
  onCreateComposition: () => Promise<void>;
}

export function SessionCard({ session, roomName, recordings, compositions, onCreateComposition }: Props) {
  const title = roomTitle(session, roomName);
  const names = namesIn(session);
  return (
    <li class="session" data-testid="session" data-id={session.id}>
      <header>
        <h2>{title}</h2>
        {session.active && <span class="live">Live</span>}
        <p class="when">
          <time dateTime={session.created_at}>{timesOf(session)}</time>
          {names && <span class="names">{names}</span>}
        </p>
      </header>
      {compositions.length > 0 && (
        <ul class="compositions" aria-label={`Compositions of ${title}`}>
          {compositions.map((composition) => (
            <CompositionRow key={composition.id} composition={composition} isLive={session.active} />
          ))}
        </ul>
      )}
      <Recordings session={session} recordings={recordings} />
      {!session.active && recordings.length > 0 && (
        <CreateComposition title={title} isFirst={compositions.length === 0} isUnderway={compositions.some(isUnderway)} onCreate={onCreateComposition} />
      )}
    </li>
  );
}

function Recordings({ session, recordings }: { session: Session; recordings: Recording[] }) {
  // Decided once: the list stays as the operator left it when more is recorded.
  const [isOpen] = useState(recordings.length <= OPEN_RECORDINGS_MAX);
  if (recordings.length === 0) {
    return <p class="soft">{session.active ? "Nothing is recorded yet." : "Nothing was recorded."}</p>;
  }
  const participants = new Map((session.participants ?? []).map((each) => [each.id, each]));
  return (
    <details open={isOpen}>
      <summary>{recordings.length === 1 ? "1 recording" : `${recordings.length} recordings`}</summary>
      <ul class="recordings">
        {recordings.map((each) => (
          <RecordingRow key={each.id} recording={each} name={nameOf(participants.get(each.participant_id))} />
        ))}
      </ul>
    </details>
  );
}

function RecordingRow({ recording, name }: { recording: Recording; name: string }) {
  const isSound = recording.type === "audio";
  return (
    <li class="saved" data-testid="recording">
      {isSound ? <Microphone /> : <Camera />}
      <p class="what">
        <strong>{name}</strong>
        <span class="soft">
          {isSound ? "Sound" : "Picture"} · {statusText(recording)}
        </span>
      </p>
      {recording.download_url && (
        <Playable kind={recording.type} url={recording.download_url} name={`${name}, ${isSound ? "sound" : "picture"}`} />
      )}
    </li>
  );
}

function statusText(recording: Recording): string {
  if (recording.status === "completed") return recording.download_url ? factsOf(recording) : "could not be saved";
  return recording.ended_at ? "being saved…" : "being recorded…";
}

interface CreateCompositionProps {
  title: string;
  isFirst: boolean;
  isUnderway: boolean;
  onCreate: () => Promise<void>;
}

function CreateComposition({ title, isFirst, isUnderway, onCreate }: CreateCompositionProps) {
  const [isRequesting, setRequesting] = useState(false);
  const [problem, setProblem] = useState<string>();
  const create = async (): Promise<void> => {
    if (isRequesting || isUnderway) return;
    setRequesting(true);
    setProblem(undefined);
    try {
      await onCreate();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setProblem(error.message);
    } finally {
      setRequesting(false);
    }
  };
  const label = isFirst || isUnderway ? "Create a composition" : "Create another composition";
  return (
    <footer>
      <button
        type="button"
        class={`quiet create${isFirst ? " first" : ""}`}
        data-testid="create"
        aria-disabled={isRequesting || isUnderway}
        aria-label={`${label} of ${title}`}
        onClick={() => void create()}
      >
        <Reel />
        {label}
      </button>
      <div role="alert">{problem && <p class="message">{problem}</p>}</div>
    </footer>
  );
}
