/** What the page's address holds: the room id in its path, an invitation or a token in its fragment. */

export type Entry = { kind: "invite"; invite: string } | { kind: "token"; token: string } | { kind: "none" };

/** An entry with which a participant can try to join. */
export type Invited = Exclude<Entry, { kind: "none" }>;

/** The room id: the last segment of `/meet/{room_id}` or of `/PREFIX/meet/{room_id}`. */
export function roomIdOf(path: string): string {
  return decodeURIComponent(path.split("/").at(-1) ?? "");
}

/** Parse the fragment. The secret is there because browsers send no fragment to servers, so no log has it. */
export function entryOf(fragment: string): Entry {
  const text = fragment.replace(/^#/, "");
  if (text.startsWith("token=")) return { kind: "token", token: text.slice("token=".length) };
  return /^[A-Za-z0-9_-]+$/.test(text) ? { kind: "invite", invite: text } : { kind: "none" };
}
