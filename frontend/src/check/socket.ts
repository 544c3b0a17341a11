/** The check's own socket on the server: it gives addresses of relays, and answers offers (docs/check.md). */
import { serverUrl } from "../shared/base";
import { within } from "../shared/deadline";
import type { Admission } from "./entry";
import type { Path, RelayPath } from "./results";

const OPEN_MILLIS = 10_000;
const ANSWER_MILLIS = 10_000;

export interface Begun {
  secs: number;
  /** Whether the token or meeting link was valid: then the relays have credentials. */
  admitted: boolean;
  relays: Partial<Record<RelayPath, RTCIceServer>>;
}

interface Message {
  check: string;
  path?: Path;
  n?: number;
  sdp?: string;
  sentence?: string;
  retry_secs?: number;
}

/** The server answered that no check can begin, with a sentence to show. */
export class CheckRefused extends Error {
  constructor(
    sentence: string,
    readonly retrySecs: number,
  ) {
    super(sentence);
  }
}

/** The server cannot answer an offer. */
export class OfferRefused extends Error {}

export class CheckSocket {
  #socket: WebSocket;
  #waiting = new Map<string, (message: Message) => void>();
  readonly #closed: Promise<never>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#closed = new Promise((_, reject) => socket.addEventListener("close", () => reject(new Error("The socket was closed."))));
    this.#closed.catch(() => undefined);
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data as string) as Message;
      this.#waiting.get(keyOf(message))?.(message);
    });
  }

  /** Open the socket and begin a check. Rejects with CheckRefused, or another error where no socket opens. */
  static async begin(admission: Admission): Promise<[CheckSocket, Begun]> {
    const url = serverUrl("check/socket").replace(/^http/, "ws");
    const socket = new WebSocket(url);
    const opened = new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("close", () => reject(new Error("The socket does not open.")));
    });
    try {
      await within(OPEN_MILLIS, "opening the socket", opened);
      const check = new CheckSocket(socket);
      const answer = await check.#ask("begun", { check: "begin", ...admission });
      if (answer.check === "refused") throw new CheckRefused(answer.sentence ?? "", answer.retry_secs ?? 60);
      return [check, answer as unknown as Begun];
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** The SDP of Janus' answer. Rejects with OfferRefused. */
  async answer(path: Path, sdp: string): Promise<string> {
    const answer = await this.#ask(`path ${path}`, { check: "offer", path, sdp });
    if (answer.sdp === undefined) throw new OfferRefused(answer.sentence ?? "");
    return answer.sdp;
  }

  /** End the echo of a path. */
  end(path: Path): void {
    this.#send({ check: "end", path });
  }

  /** Milliseconds of a message to the server and back. */
  async ping(n: number): Promise<number> {
    const sent = performance.now();
    await this.#ask(`pong ${n}`, { check: "ping", n });
    return performance.now() - sent;
  }

  close(): void {
    this.#socket.close();
  }

  async #ask(key: string, message: object): Promise<Message> {
    const answered = new Promise<Message>((resolve) => this.#waiting.set(key, resolve));
    this.#send(message);
    try {
      return await within(ANSWER_MILLIS, "an answer of the server", Promise.race([answered, this.#closed]));
    } finally {
      this.#waiting.delete(key);
    }
  }

  #send(message: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

/** What the request of this answer waits under. */
function keyOf(message: Message): string {
  if (message.check === "pong") return `pong ${message.n}`;
  return message.path === undefined ? "begun" : `path ${message.path}`;
}
