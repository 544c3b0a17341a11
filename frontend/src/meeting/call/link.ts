/** The address of this page: the room in its path, the invitation or a token in its fragment. */

export type Entry = { kind: "invite"; invite: string } | { kind: "token"; token: string } | { kind: "none" };

/** The last step of `/meet/{room_id}`, which may be below a path. */
export function roomIdOf(path: string): string {
  return decodeURIComponent(path.split("/").at(-1) ?? "");
}

/** The fragment never reaches a server or its log; that is why the secret is there. */
export function entryOf(fragment: string): Entry {
  const text = fragment.replace(/^#/, "");
  if (text.startsWith("token=")) return { kind: "token", token: text.slice("token=".length) };
  return /^[A-Za-z0-9_-]+$/.test(text) ? { kind: "invite", invite: text } : { kind: "none" };
}
