/** Sends a message again until the server confirms it, and drops repeated messages by an id in the message. */
import type { Room } from "@telnyx/video";
import { within } from "../../shared/deadline";

const ATTEMPTS = 3;
const ATTEMPT_MILLIS = 4_000;
const REMEMBERED = 500;

type Message = Parameters<Room["sendMessage"]>[0];

export class Messages {
  readonly #echoes = new Map<string, () => void>();
  readonly #seen = new Set<string>();

  constructor(private readonly room: Room) {}

  /** Resolves when the server has confirmed the message; rejects after ATTEMPTS attempts. Other applications ignore the id. */
  async send(payload: string, recipient: string | undefined): Promise<void> {
    const message = { type: "text", payload, id: randomId() };
    // The echo of the message confirms it too, where only the answer was lost.
    const echoed = new Promise<void>((resolve) => this.#echoes.set(message.id, resolve));
    try {
      for (let attempt = 1; ; attempt += 1) {
        const sent = this.room.sendMessage(message as Message, recipient === undefined ? undefined : [recipient]);
        try {
          return await within(ATTEMPT_MILLIS, "a message", Promise.race([sent, echoed]));
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          console.warn("A message is sent again.", error);
        }
      }
    } finally {
      this.#echoes.delete(message.id);
    }
  }

  /** Whether a message arrived for the first time. A message without an id, from another application, is always new. */
  isNew(from: string, message: object): boolean {
    const id: unknown = "id" in message ? message.id : undefined;
    if (typeof id !== "string") return true;
    this.#echoes.get(id)?.();
    const key = `${from} ${id}`;
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    const [oldest] = this.#seen;
    if (this.#seen.size > REMEMBERED && oldest !== undefined) this.#seen.delete(oldest);
    return true;
  }
}

/** A random id of 128 bits. `crypto.randomUUID` does not exist on pages without https. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
}
