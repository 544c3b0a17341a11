/** The meeting that the check was opened from: `/check#ROOM_ID/FRAGMENT`, with the fragment of the meeting page. */

/** What the server is shown, so that it gives credentials for the relay; empty for a visitor without a meeting. */
export interface Admission {
  room_id?: string;
  token?: string;
  invite?: string;
}

/** The secret is in the fragment because browsers send no fragment to servers, so no log has it. */
export function admissionOf(fragment: string): Admission {
  const found = /^#([0-9a-fA-F-]{36})\/(.+)$/.exec(fragment);
  if (!found) return {};
  const [, room_id, secret] = found as unknown as [string, string, string];
  return secret.startsWith("token=") ? { room_id, token: secret.slice("token=".length) } : { room_id, invite: secret };
}
