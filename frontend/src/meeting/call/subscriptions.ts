/** Subscribes to the pictures of everybody else, a few at a time. */
import type { Room, State, Stream } from "@telnyx/video";
import { within } from "../../shared/deadline";

const MILLIS = 12_000;
const AT_ONCE = 4;
const TRIES = 3;

export class Subscriptions {
  /** Streams asked for, by stream id: a stream published anew has a new id and is asked for again. */
  #tries = new Map<string, number>();
  #waiting: Stream[] = [];
  #running = 0;

  constructor(private readonly room: Room) {}

  sync(state: State): void {
    for (const id of this.#tries.keys()) if (!state.streams.has(id)) this.#tries.delete(id);
    for (const stream of state.streams.values()) {
      if (stream.origin !== "remote" || this.#tries.has(stream.id)) continue;
      this.#tries.set(stream.id, 0);
      this.#waiting.push(stream);
    }
    this.#startNext();
  }

  #startNext(): void {
    while (this.#running < AT_ONCE) {
      const stream = this.#waiting.shift();
      if (!stream) return;
      this.#running += 1;
      void this.#subscribe(stream).finally(() => {
        this.#running -= 1;
        this.#startNext();
      });
    }
  }

  async #subscribe(stream: Stream): Promise<void> {
    const isWanted = (): boolean => this.room.getState().streams.has(stream.id);
    if (!isWanted()) return;
    const tries = (this.#tries.get(stream.id) ?? 0) + 1;
    this.#tries.set(stream.id, tries);
    try {
      // Sound comes as one mixed track (see MixedAudio): taking it here as well would play everybody twice.
      const request = this.room.addSubscription(stream.participantId, stream.key, { audio: false, video: true });
      await within(MILLIS, "a subscription", request);
    } catch (error) {
      if (!isWanted()) return; // Gone in the meantime; the SDK's promise then never settles.
      console.warn(`Subscribing to stream ${stream.key} failed (try ${tries} of ${TRIES}).`, error);
      if (tries < TRIES) this.#waiting.push(stream);
    }
  }
}
