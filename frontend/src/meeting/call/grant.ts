/** Client tokens for a meeting link: requested with its invitation, and renewed before they expire. */
import { serverUrl } from "../../shared/base";
import { within } from "../../shared/deadline";
import type { Invited } from "./link";

/** What the server shows of a room to the holder of a link, before the join. */
export interface RoomFacts {
  uniqueName: string | null;
  /** Whether the active session is recorded; without one, whether the next session will be. */
  isRecorded: boolean;
}

export interface Grant {
  token: string;
  /** `performance.now()` at which to renew the token; undefined when it cannot be renewed. */
  renewAt: number | undefined;
  refreshToken: string | undefined;
}

interface TokenAnswer {
  data: { token: string; token_expires_at: string; refresh_token?: string };
}

interface RoomAnswer {
  data: { unique_name: string | null; recording: boolean };
}

/** The server gave no token: `status` is the HTTP status, 0 without an answer. */
export class GrantRefused extends Error {
  constructor(readonly status: number) {
    super(`token request answered ${status}`);
  }

  /** Whether every further request gets the same answer: the link or room does not exist (404), or this guest was removed (403). */
  get isFinal(): boolean {
    return this.status === 403 || this.status === 404;
  }
}

const REQUEST_MILLIS = 10_000;
const RETRY_MILLIS = 10_000;

/** Read what is known of the room before the join. Throws GrantRefused when the link is not valid. */
export async function readRoom(roomId: string, entry: Invited): Promise<RoomFacts> {
  const proof = entry.kind === "token" ? { token: entry.token } : { invite: entry.invite };
  const { data } = await post<RoomAnswer>(`meet/${encodeURIComponent(roomId)}/room`, proof);
  return { uniqueName: data.unique_name, isRecorded: data.recording };
}

/** A new grant for the link; a link that holds a token is the grant itself. Throws GrantRefused. */
export async function requestGrant(roomId: string, entry: Invited): Promise<Grant> {
  if (entry.kind === "token") return { token: entry.token, renewAt: undefined, refreshToken: undefined };
  const { data } = await post<TokenAnswer>(`meet/${encodeURIComponent(roomId)}/token`, { invite: entry.invite });
  return {
    token: data.token,
    renewAt: renewalTime(data.token, data.token_expires_at),
    refreshToken: data.refresh_token,
  };
}

/** Whether the token is not due to be renewed. */
export function isFresh(grant: Grant): boolean {
  return grant.renewAt === undefined || performance.now() < grant.renewAt;
}

/** Another token of the same grant. The server recognises a returning participant by the grant. Throws GrantRefused. */
export async function renew(roomId: string, entry: Invited, old: Grant): Promise<Grant> {
  if (!old.refreshToken) return requestGrant(roomId, entry);
  const path = `v2/rooms/${encodeURIComponent(roomId)}/actions/refresh_client_token`;
  try {
    const { data } = await post<TokenAnswer>(path, { refresh_token: old.refreshToken });
    return { ...old, token: data.token, renewAt: renewalTime(data.token, data.token_expires_at) };
  } catch (error) {
    // The refresh token has expired; the invitation still gives a new grant.
    if (error instanceof GrantRefused && error.status >= 400 && error.status < 500) return requestGrant(roomId, entry);
    throw error;
  }
}

/** Renew the token of a running call whenever it is due, and pass each new grant to `use`. Returns a function that stops it. */
export function keepFresh(
  roomId: string,
  entry: Invited,
  first: Grant,
  use: (grant: Grant) => Promise<void>,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const plan = (grant: Grant, at: number | undefined): void => {
    if (at !== undefined && !stopped) timer = setTimeout(() => void turn(grant), Math.max(0, at - performance.now()));
  };
  const turn = async (grant: Grant): Promise<void> => {
    try {
      const fresh = await renew(roomId, entry, grant);
      if (stopped) return;
      await use(fresh);
      plan(fresh, fresh.renewAt);
    } catch (error) {
      // No retry after a final refusal: the call outlives its token, and refusals count against the client's address.
      if (error instanceof GrantRefused && error.isFinal) return;
      console.warn("Renewing the token failed; trying again.", error);
      plan(grant, performance.now() + RETRY_MILLIS);
    }
  };
  plan(first, first.renewAt);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

async function post<Answer>(path: string, body: object): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const request = fetch(serverUrl(path), { method: "POST", headers, body: JSON.stringify(body) });
  try {
    const response = await within(REQUEST_MILLIS, "the token request", request);
    if (!response.ok) throw new GrantRefused(response.status);
    return (await within(REQUEST_MILLIS, "the token", response.json())) as Answer;
  } catch (error) {
    throw error instanceof GrantRefused ? error : new GrantRefused(0);
  }
}

/** `performance.now()` at 60 % of the token's lifetime. The lifetime comes from the token, so the browser's clock may be wrong. */
function renewalTime(token: string, expiresAt: string): number {
  const lifetime = lifetimeOf(token) ?? Date.parse(expiresAt) - Date.now();
  return performance.now() + Math.max(lifetime * 0.6, 2_000);
}

/** Milliseconds between `iat` and `exp` of a JWT; undefined for another kind of token. */
function lifetimeOf(token: string): number | undefined {
  try {
    const text = atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"));
    const { iat, exp } = JSON.parse(text) as { iat?: number; exp?: number };
    return iat !== undefined && exp !== undefined ? (exp - iat) * 1000 : undefined;
  } catch {
    return undefined; // The caller then uses the expiry time of the answer.
  }
}
