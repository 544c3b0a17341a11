/** One session: who was there, what was recorded, and its films. */
import { useState } from "preact/hooks";
import { Camera, Microphone } from "../shared/icons";
import { isUnderway } from "./archive";
import { FilmRow } from "./film_row";
import { Reel } from "./icons";
import { Playable } from "./playable";
import { Refused, type Film, type Recording, type Session } from "./rest";
import { everybodyIn, factsOf, personOf, roomTitle, whenOf } from "./words";

/** More are folded away at first. */
const OPEN_MAX = 4;

interface Props {
  session: Session;
  roomName: string | null | undefined;
  /** In the order in which they began. */
  recordings: Recording[];
  /** Newest first. */
  films: Film[];
  onMakeFilm: () => Promise<void>;
}

export function SessionCard({ session, roomName, recordings, films, onMakeFilm }: Props) {
  const title = roomTitle(session, roomName);
  const people = everybodyIn(session);
  return (
    <li class="session" data-testid="session" data-id={session.id}>
      <header>
        <h2>{title}</h2>
        {session.active && <span class="live">Live</span>}
        <p class="when">
          <time dateTime={session.created_at}>{whenOf(session)}</time>
          {people && <span class="people">{people}</span>}
        </p>
      </header>
      {films.length > 0 && (
        <ul class="films" aria-label={`Films of ${title}`}>
          {films.map((film) => (
            <FilmRow key={film.id} film={film} isLive={session.active} />
          ))}
        </ul>
      )}
      <Recordings session={session} recordings={recordings} />
      {!session.active && recordings.length > 0 && (
        <MakeFilm title={title} isFirst={films.length === 0} isUnderway={films.some(isUnderway)} onMake={onMakeFilm} />
      )}
    </li>
  );
}

function Recordings({ session, recordings }: { session: Session; recordings: Recording[] }) {
  // Said once: what somebody has unfolded stays so when more is recorded.
  const [isOpen] = useState(recordings.length <= OPEN_MAX);
  if (recordings.length === 0) {
    return <p class="soft">{session.active ? "Nothing is recorded so far." : "Nothing was recorded."}</p>;
  }
  const people = new Map((session.participants ?? []).map((each) => [each.id, each]));
  return (
    <details open={isOpen}>
      <summary>{recordings.length === 1 ? "1 recording" : `${recordings.length} recordings`}</summary>
      <ul class="recordings">
        {recordings.map((each) => (
          <RecordingRow key={each.id} recording={each} who={personOf(people.get(each.participant_id))} />
        ))}
      </ul>
    </details>
  );
}

function RecordingRow({ recording, who }: { recording: Recording; who: string }) {
  const isSound = recording.type === "audio";
  return (
    <li class="saved" data-testid="recording">
      {isSound ? <Microphone /> : <Camera />}
      <p class="what">
        <strong>{who}</strong>
        <span class="soft">
          {isSound ? "Sound" : "Picture"} · {sayingOf(recording)}
        </span>
      </p>
      {recording.download_url && (
        <Playable kind={recording.type} url={recording.download_url} name={`${who}, ${isSound ? "sound" : "picture"}`} />
      )}
    </li>
  );
}

function sayingOf(recording: Recording): string {
  if (recording.status === "completed") return recording.download_url ? factsOf(recording) : "could not be saved";
  return recording.ended_at ? "being saved…" : "being recorded…";
}

interface MakeFilmProps {
  title: string;
  isFirst: boolean;
  isUnderway: boolean;
  onMake: () => Promise<void>;
}

function MakeFilm({ title, isFirst, isUnderway, onMake }: MakeFilmProps) {
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string>();
  const make = async (): Promise<void> => {
    if (isAsking || isUnderway) return;
    setAsking(true);
    setProblem(undefined);
    try {
      await onMake();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setProblem(error.message);
    } finally {
      setAsking(false);
    }
  };
  return (
    <footer>
      <button
        type="button"
        class={`quiet make${isFirst ? " first" : ""}`}
        data-testid="make"
        aria-disabled={isAsking || isUnderway}
        aria-label={`Make a film of ${title}`}
        onClick={() => void make()}
      >
        <Reel />
        {isFirst || isUnderway ? "Make a film" : "Make another film"}
      </button>
      <div role="alert">{problem && <p class="message">{problem}</p>}</div>
    </footer>
  );
}
