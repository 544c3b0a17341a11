/** The right to join: a token got for the link's invitation, renewed well before it runs out. */
import { serverUrl } from "../../shared/base";
import { within } from "../../shared/deadline";
import type { Entry } from "./link";

type Invited = Exclude<Entry, { kind: "none" }>;

/** What guests see of a room before they are in it. */
export interface RoomFacts {
  uniqueName: string | null;
  /** Whether the call that goes on, or else the next one, is recorded. */
  isRecorded: boolean;
}

export interface Grant {
  token: string;
  /** `performance.now()` at which a new token should be asked for; undefined when there is no way to. */
  renewAt: number | undefined;
  refreshToken: string | undefined;
}

interface TokenAnswer {
  data: { token: string; token_expires_at: string; refresh_token?: string };
}

interface RoomAnswer {
  data: { unique_name: string | null; recording: boolean };
}

/** The server said no; `status` is its HTTP status, 0 when it did not answer at all. */
export class GrantRefused extends Error {
  constructor(readonly status: number) {
    super(`token request answered ${status}`);
  }

  /** The link is void or its room gone (404), or this browser was removed (403): asking again gets the same answer. */
  get isFinal(): boolean {
    return this.status === 403 || this.status === 404;
  }
}

const REQUEST_MILLIS = 10_000;
const RETRY_MILLIS = 10_000;

/** The room behind the link, before anybody joins; what the link is worth is known from then on. */
export async function lookAt(roomId: string, entry: Invited): Promise<RoomFacts> {
  const proof = entry.kind === "token" ? { token: entry.token } : { invite: entry.invite };
  const { data } = await post<RoomAnswer>(`meet/${encodeURIComponent(roomId)}/room`, proof);
  return { uniqueName: data.unique_name, isRecorded: data.recording };
}

export async function obtain(roomId: string, entry: Invited): Promise<Grant> {
  if (entry.kind === "token") return { token: entry.token, renewAt: undefined, refreshToken: undefined };
  const { data } = await post<TokenAnswer>(`meet/${encodeURIComponent(roomId)}/token`, { invite: entry.invite });
  return {
    token: data.token,
    renewAt: renewalTime(data.token, data.token_expires_at),
    refreshToken: data.refresh_token,
  };
}

/** Whether the grant's token need not be renewed yet. */
export function isFresh(grant: Grant): boolean {
  return grant.renewAt === undefined || performance.now() < grant.renewAt;
}

/** Another token of the same grant: the server knows by it who comes back. */
export async function renew(roomId: string, entry: Invited, old: Grant): Promise<Grant> {
  if (!old.refreshToken) return obtain(roomId, entry);
  const path = `v2/rooms/${encodeURIComponent(roomId)}/actions/refresh_client_token`;
  try {
    const { data } = await post<TokenAnswer>(path, { refresh_token: old.refreshToken });
    return { ...old, token: data.token, renewAt: renewalTime(data.token, data.token_expires_at) };
  } catch (error) {
    // The refresh token itself has run out: the invitation is still good for a new pair.
    if (error instanceof GrantRefused && error.status >= 400 && error.status < 500) return obtain(roomId, entry);
    throw error;
  }
}

/** Keeps a running call's token fresh; returns the way to stop. */
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
      // Each refusal counts against everybody at this address, and the call outlives its token.
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

/** At 60 % of its life, by the token's own clock: a viewer's wrong clock then does no harm. */
function renewalTime(token: string, expiresAt: string): number {
  const lifetime = lifetimeOf(token) ?? Date.parse(expiresAt) - Date.now();
  return performance.now() + Math.max(lifetime * 0.6, 2_000);
}

function lifetimeOf(token: string): number | undefined {
  try {
    const text = atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"));
    const { iat, exp } = JSON.parse(text) as { iat?: number; exp?: number };
    return iat !== undefined && exp !== undefined ? (exp - iat) * 1000 : undefined;
  } catch {
    return undefined; // An opaque token; the caller goes by the expiry time in the answer.
  }
}
