/** The console's REST requests, made with the operator's API key. */
import { serverUrl } from "../shared/base";
import { within } from "../shared/deadline";

export interface Participant {
  id: string;
  context: string | null;
  label?: string;
}

export interface Session {
  id: string;
  room_id: string;
  active: boolean;
  created_at: string;
  ended_at: string | null;
  participants?: Participant[];
}

/** The members that a recording and a composition have in common. */
interface Saved {
  id: string;
  session_id: string;
  size_mb: number | null;
  duration_secs: number | null;
  /** Valid for an hour; each read returns another one. */
  download_url: string | null;
}

export interface Recording extends Saved {
  participant_id: string;
  status: "processing" | "completed";
  type: "audio" | "video";
  /** When the last media arrived; null while the recording goes on. */
  ended_at: string | null;
}

export interface Composition extends Saved {
  /** Null when the composition failed, because the published API has no status for it; `failure` says why. */
  status: "enqueued" | "processing" | "completed" | null;
  /** 0 to 1. */
  progress: number;
  failure: string | null;
  resolution: string;
}

export interface MediaNode {
  id: string;
  version: string | null;
  state: "active" | "draining" | "removed";
  is_up: boolean;
  /** As of its last beat, as are the following. */
  participants: number;
  /** Load average for each core. */
  cpu: number;
  packets: number;
  /** What another participant would lack, as a sentence. */
  shortage: string | null;
}

export type NodeAction = "drain" | "resume" | "remove";

/** The server refused a request: `status` is the HTTP status, 0 without an answer; `message` is a sentence to show. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

interface ListAnswer<T> {
  data: T[];
  meta: { total_pages: number; total_results: number };
}

const REQUEST_MILLIS = 10_000;
const PAGE_SIZE = 250;
/** Pages that are read of each list at most. */
const PAGES_MAX = 4;
/** Characters that a header can carry: a key with others is refused without a request. A key may contain blanks. */
const SENDABLE = /^[\x20-\x7e]+$/;

export class Rest {
  constructor(private readonly key: string) {}

  /** The newest `count` sessions, and the number of all sessions. */
  async sessions(count: number): Promise<{ sessions: Session[]; total: number }> {
    const path = `v2/room_sessions?include_participants=true&page[size]=${count}`;
    const answer = await this.#ask<ListAnswer<Session>>("GET", path);
    return { sessions: answer.data, total: answer.meta.total_results };
  }

  /** Recordings that began on the day of this instant or later, newest first. */
  recordings(since: string): Promise<Recording[]> {
    return this.#all<Recording>(`v2/room_recordings?filter[date_started_at][gte]=${dayOf(since)}`);
  }

  /** Compositions that were created on the day of this instant or later, newest first. */
  compositions(since: string): Promise<Composition[]> {
    return this.#all<Composition>(`v2/room_compositions?filter[date_created_at][gte]=${dayOf(since)}`);
  }

  /** The room's unique name; null when the room has none or is deleted. */
  async roomName(roomId: string): Promise<string | null> {
    try {
      const path = `v2/rooms/${encodeURIComponent(roomId)}`;
      const { data } = await this.#ask<{ data: { unique_name: string | null } }>("GET", path);
      return data.unique_name;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  async createComposition(sessionId: string): Promise<Composition> {
    return (await this.#ask<{ data: Composition }>("POST", "v2/room_compositions", { session_id: sessionId })).data;
  }

  /** The media nodes of the installation, by id. */
  async mediaNodes(): Promise<MediaNode[]> {
    return (await this.#all<MediaNode>("v2/media_nodes")).reverse();
  }

  async changeMediaNode(nodeId: string, action: NodeAction): Promise<MediaNode> {
    return (await this.#ask<{ data: MediaNode }>("POST", `v2/media_nodes/actions/${action}`, { node_id: nodeId })).data;
  }

  async #all<T>(path: string): Promise<T[]> {
    const found: T[] = [];
    const joint = path.includes("?") ? "&" : "?";
    for (let page = 1; page <= PAGES_MAX; page += 1) {
      const answer = await this.#ask<ListAnswer<T>>("GET", `${path}${joint}page[size]=${PAGE_SIZE}&page[number]=${page}`);
      found.push(...answer.data);
      if (page >= answer.meta.total_pages) break;
    }
    return found;
  }

  async #ask<T>(method: string, path: string, body?: object): Promise<T> {
    if (!SENDABLE.test(this.key)) throw new Refused(401, "This is not an API key.");
    const headers: Record<string, string> = { authorization: `Bearer ${this.key}` };
    if (body) headers["content-type"] = "application/json";
    const request = fetch(serverUrl(path), { method, headers, ...(body && { body: JSON.stringify(body) }) });
    // The deadline covers the whole answer: a connection may also break in the middle of the body.
    const whole = request.then(async (response) => ({ ok: response.ok, status: response.status, text: await response.text() }));
    let answer: { ok: boolean; status: number; text: string };
    try {
      answer = await within(REQUEST_MILLIS, "the request", whole);
    } catch {
      throw new Refused(0, "The server does not answer.");
    }
    if (!answer.ok) throw new Refused(answer.status, reasonOf(answer.status, answer.text));
    try {
      return JSON.parse(answer.text) as T;
    } catch {
      // A proxy's login page, for example.
      throw new Refused(0, "The answer does not come from Portico.");
    }
  }
}

function reasonOf(status: number, text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors: { detail?: string; title?: string }[] };
    const details = errors.map((error) => error.detail ?? error.title ?? "").join(" ");
    if (details) return details;
  } catch {
    // Not an error body of the API, perhaps a proxy's.
  }
  return `The server answered ${status}.`;
}

function dayOf(instant: string): string {
  return instant.slice(0, 10);
}
