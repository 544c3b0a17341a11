/** Subscribes to the video of all other participants, AT_ONCE streams at a time. */
import type { Room, State, Stream } from "@telnyx/video";
import { within } from "../../shared/deadline";

const MILLIS = 12_000;
const AT_ONCE = 4;
const TRIES = 3;

export class Subscriptions {
  /** Number of tries by stream id. A stream that is published again has a new id and is subscribed to again. */
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
      // Audio arrives as one mixed track (see MixedAudio); subscribing to it here too would play each voice twice.
      const request = this.room.addSubscription(stream.participantId, stream.key, { audio: false, video: true });
      await within(MILLIS, "a subscription", request);
    } catch (error) {
      if (!isWanted()) return; // The stream ended meanwhile, and the SDK's promise never settles.
      console.warn(`Subscribing to stream ${stream.key} failed (try ${tries} of ${TRIES}).`, error);
      if (tries < TRIES) this.#waiting.push(stream);
    }
  }
}
