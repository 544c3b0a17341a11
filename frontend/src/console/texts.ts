/** Texts of the console for times, sizes and names. */
import { displayName } from "../shared/names";
import type { Composition, Participant, Recording, Session } from "./rest";

const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Day, begin and end of a session, in the browser's language. */
export function timesOf(session: Session): string {
  const begun = new Date(session.created_at);
  const until = session.ended_at ? `–${time.format(new Date(session.ended_at))}` : "";
  return `${day.format(begun)}, ${time.format(begun)}${until}`;
}

/** 83 → "1:23", 3600 → "1:00:00". */
export function lengthOf(secs: number): string {
  const parts = [Math.floor(secs / 3600), Math.floor(secs / 60) % 60, secs % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

/** "1:23 · 5.6 MB"; an unknown part is left out. */
export function factsOf(saved: Recording | Composition): string {
  const length = saved.duration_secs === null ? "" : lengthOf(saved.duration_secs);
  const size = saved.size_mb === null ? "" : `${saved.size_mb} MB`;
  return [length, size].filter(Boolean).join(" · ");
}

export function nameOf(participant: Participant | undefined): string {
  return displayName(participant?.label, participant?.context);
}

/** The names of a session's participants, each once, in the order of joining: "Anna, Ben and 3 more". */
export function namesIn(session: Session): string {
  const names = [...new Set((session.participants ?? []).map(nameOf))].reverse();
  if (names.length <= 4) return names.join(", ");
  return `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
}

export function roomTitle(session: Session, name: string | null | undefined): string {
  return name || `Room ${session.room_id.slice(0, 8)}`;
}
