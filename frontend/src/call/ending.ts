/** Why there is no call (any more), in one clear sentence. */
import { GrantRefused } from "../grant";

export interface Ending {
  kind: "left" | "removed" | "ended" | "full" | "refused" | "lost" | "media" | "gone" | "busy" | "unreachable";
  title: string;
  detail: string;
}

const ENDINGS: Record<Ending["kind"], [title: string, detail: string]> = {
  left: ["You left the call", "The others can go on without you."],
  removed: ["You were removed", "Somebody who runs this meeting removed you from it."],
  ended: ["The call has ended", "It was ended for everybody."],
  full: ["This room is full", "Nobody else can join until somebody leaves."],
  refused: ["You cannot join with this link", "It may have expired. Ask for a new link."],
  lost: ["The connection was lost", "Check your network, then join again."],
  media: ["No sound or picture gets through", "The server answers, but a firewall seems to block its media (UDP)."],
  gone: ["This meeting does not exist", "Check the link: it must be complete, including everything after the #."],
  busy: ["The meeting is not available right now", "Try again in a moment."],
  unreachable: ["The server does not answer", "Check your network, then try again."],
};

export function ending(kind: Ending["kind"]): Ending {
  const [title, detail] = ENDINGS[kind];
  return { kind, title, detail };
}

export interface EndingFacts {
  wasLeaving: boolean;
  wasKicked: boolean;
  /** The server's own words, sent before it closed the socket. */
  refusal: { status: number; sentence: string } | undefined;
  /** WebSocket close code, as the table in docs/signaling.md has them. */
  closeCode: number | undefined;
  /** The server's sentence in the close frame; may be empty. */
  closeReason: string;
}

export function endingOf(facts: EndingFacts): Ending {
  if (facts.wasLeaving) return ending("left");
  if (facts.wasKicked) return ending("removed");
  if (facts.refusal) return endingOfRefusal(facts.refusal);
  if (facts.closeCode === 4000) return ending("ended");
  if (facts.closeCode === 4002) return ending("removed");
  if (facts.closeCode === 4001 || facts.closeCode === 4003) return { ...ending("lost"), detail: facts.closeReason };
  return ending("lost");
}

function endingOfRefusal({ status, sentence }: { status: number; sentence: string }): Ending {
  if (/\bfull\b|max(imum)?[ _]participants/i.test(sentence)) return ending("full");
  const known = ending(status === 503 || status === 429 ? "busy" : status === 401 || status === 403 ? "refused" : "lost");
  // The server's sentence says more than ours can.
  return sentence ? { ...known, detail: sentence.endsWith(".") ? sentence : `${sentence}.` } : known;
}

export function endingOfGrant(error: unknown): Ending {
  if (!(error instanceof GrantRefused)) throw error;
  if (error.status === 404) return ending("gone");
  if (error.status === 429) return ending("busy");
  return error.status >= 400 && error.status < 500 ? ending("refused") : ending("unreachable");
}
