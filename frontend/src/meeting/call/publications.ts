/** The streams that this browser publishes: camera with microphone, and a shared screen. The SDK gets one request at a time. */
import type { Room } from "@telnyx/video";
import { within } from "../../shared/deadline";
import type { Devices } from "./devices";
import { SCREEN, SELF } from "./participants";

const MILLIS = 15_000;

export class Publications {
  screen: MediaStream | undefined;
  #published = "";
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly room: Room,
    private readonly devices: Devices,
    private readonly report: (sentence: string) => void,
  ) {}

  /** Publish the current state of the devices; does nothing when it is published already. */
  syncDevices(): void {
    this.#inTurn("Your camera or microphone", async () => {
      const { audio, video } = this.devices;
      const wanted = `${audio?.id} ${audio?.enabled} ${video?.id}`;
      const isPublished = this.#published !== "";
      if (wanted === this.#published || (!isPublished && !audio && !video)) return;
      // A muted track is published again too: other participants learn of it only from the stream's description.
      const tracks = { ...(audio && { audio }), ...(video && { video }) };
      await (isPublished ? this.room.updateStream(SELF, tracks) : this.room.addStream(SELF, tracks));
      this.#published = wanted; // after the await, so that a failed request is repeated at the next change
    });
  }

  startScreen(screen: MediaStream, stopped: () => void): void {
    this.screen = screen;
    const [video] = screen.getVideoTracks();
    const [audio] = screen.getAudioTracks();
    // The browser's own "Stop sharing" button ends the track.
    video?.addEventListener("ended", stopped);
    this.#inTurn("Your screen", () => this.room.addStream(SCREEN, { ...(audio && { audio }), ...(video && { video }) }));
  }

  stopScreen(): void {
    if (!this.screen) return;
    for (const track of this.screen.getTracks()) track.stop();
    this.screen = undefined;
    this.#inTurn("Your screen", async () => {
      if (SCREEN in this.room.getLocalStreams()) await this.room.removeStream(SCREEN);
    });
  }

  #inTurn(what: string, request: () => Promise<void>): void {
    this.#last = this.#last.then(async () => {
      try {
        await within(MILLIS, what, request());
      } catch (error) {
        console.error(error);
        this.report(`${what} could not be shown to the others. Leave and join again to retry.`);
      }
    });
  }
}
