/** Why a call ended or could not be joined, decided by close codes and HTTP statuses, with the sentences to show. */
import { GrantRefused } from "./grant";
import { CloseCode } from "./close_code";

export type Kind =
  | "left"
  | "removed"
  | "ended"
  | "full"
  | "refused"
  /** The token was refused; another token may be accepted. */
  | "expired"
  | "lost"
  | "media"
  | "gone"
  | "busy"
  | "unreachable";

export interface Ending {
  kind: Kind;
  title: string;
  /** What the reader can do, shown when the page does not try to rejoin. */
  detail: string;
  /** What the page does, shown while it tries to rejoin; empty for endings after which it never tries. */
  waiting: string;
  /** Whether another server goes on at once. */
  rejoinsAtOnce?: boolean;
}

const REJOINS = "This page brings you back automatically.";
const ENDINGS: Record<Kind, [title: string, detail: string, waiting: string]> = {
  left: ["You left the call", "The others can go on without you.", ""],
  removed: ["You were removed", "The operator of this meeting removed you from it.", ""],
  ended: ["The call has ended", "It was ended for all participants.", ""],
  full: [
    "This room is full",
    "You can join when another participant leaves.",
    "You join automatically as soon as another participant leaves. Keep this page open.",
  ],
  refused: ["You cannot join with this link", "It may have expired. Ask for a new link.", ""],
  expired: ["You cannot join with this link", "It may have expired. Ask for a new link.", REJOINS],
  lost: ["The connection was lost", "Check your network, then join again.", REJOINS],
  media: [
    "No sound or picture gets through",
    "The server answers, but a firewall seems to block its media (UDP).",
    `The server answers, but its sound and picture (UDP) do not arrive. ${REJOINS}`,
  ],
  gone: ["This meeting does not exist", "Check the link: it must be complete, including everything after the #.", ""],
  busy: ["The meeting is not available right now", "Try again in a moment.", "This page tries again automatically."],
  unreachable: ["The server does not answer", "Check your network, then try again.", "This page tries again automatically."],
};

export function ending(kind: Kind): Ending {
  const [title, detail, waiting] = ENDINGS[kind];
  return { kind, title, detail, waiting };
}

/** The message with a status_code that the server sends before it closes the socket. */
export interface Refusal {
  closeCode: number;
  sentence: string;
}

export interface EndingFacts {
  wasLeaving: boolean;
  wasKicked: boolean;
  /** All media connections failed while the signaling still worked. */
  hasLostMedia: boolean;
  refusal: Refusal | undefined;
  /** The close code of the socket; undefined while it is open. */
  closeCode: number | undefined;
}

/** The ending of a call. What the participant did counts before what the socket reports. */
export function endingOf({ wasLeaving, wasKicked, hasLostMedia, refusal, closeCode }: EndingFacts): Ending {
  if (wasLeaving) return ending("left");
  if (wasKicked) return ending("removed");
  if (hasLostMedia) return mediaLost();
  switch (refusal?.closeCode ?? closeCode) {
    case CloseCode.SESSION_ENDED:
      return ending("ended");
    case CloseCode.REMOVED:
      return ending("removed");
    case CloseCode.ROOM_FULL:
      return ending("full");
    case CloseCode.RESTART:
      return { ...ending("lost"), title: "The server starts again", rejoinsAtOnce: true };
    case CloseCode.MEDIA_LOST:
      return mediaLost();
    case CloseCode.TOKEN_REFUSED:
      return withSentence(ending("expired"), refusal);
    case CloseCode.REFUSED:
      return withSentence(ending("refused"), refusal);
    case CloseCode.UNAVAILABLE:
      return withSentence(ending("busy"), refusal);
    default:
      return ending("lost");
  }
}

/** The ending after a token request was refused, by its HTTP status. */
export function endingOfGrant(error: GrantRefused): Ending {
  if (error.status === 404) return ending("gone");
  if (error.status === 429 || error.status === 503) return ending("busy");
  return error.status >= 400 && error.status < 500 ? ending("refused") : ending("unreachable");
}

function mediaLost(): Ending {
  return { ...ending("lost"), title: "Sound and picture were lost" };
}

/** The ending with the server's sentence as its detail: the sentence is shown, and no decision depends on it. */
function withSentence(known: Ending, refusal: Refusal | undefined): Ending {
  const sentence = refusal?.sentence;
  return sentence ? { ...known, detail: sentence.endsWith(".") ? sentence : `${sentence}.` } : known;
}
