/** The camera and the microphone of this browser: opened on demand; `problem` says why one cannot be opened. */
import { Observable } from "../../shared/observable";

type Kind = "audio" | "video";

// The SDK limits a publisher to 500 kb/s; at that rate a larger picture looks worse.
const CAMERA = { width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 30 }, facingMode: "user" };
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Devices extends Observable {
  audio: MediaStreamTrack | undefined;
  video: MediaStreamTrack | undefined;
  /** Why a device is missing, as a sentence to show; undefined when none is missing. */
  problem: string | undefined;
  opening = false;

  get isMicrophoneOn(): boolean {
    return this.audio?.enabled ?? false;
  }

  get isCameraOn(): boolean {
    return this.video !== undefined;
  }

  /** Open both devices with one permission prompt. A device that cannot be opened is described in `problem`. */
  async open(): Promise<void> {
    await this.#acquire(["audio", "video"]);
  }

  /** Mute or unmute. The device stays open, so unmuting is immediate and needs no permission. */
  async toggleMicrophone(): Promise<void> {
    if (this.audio) {
      this.audio.enabled = !this.audio.enabled;
      this.changed();
    } else {
      await this.#acquire(["audio"]);
    }
  }

  /** Turn the camera on or off. Off releases the device, so that its light goes out. */
  async toggleCamera(): Promise<void> {
    if (this.video) this.#drop("video");
    else await this.#acquire(["video"]);
  }

  close(): void {
    this.#drop("audio");
    this.#drop("video");
    this.problem = undefined;
  }

  async #acquire(kinds: Kind[]): Promise<void> {
    if (this.opening) return;
    this.opening = true;
    this.problem = undefined;
    this.changed();
    try {
      await this.#acquireTogether(kinds);
    } finally {
      this.opening = false;
      this.changed();
    }
  }

  async #acquireTogether(kinds: Kind[]): Promise<void> {
    try {
      for (const track of await capture(kinds)) this.#keep(track);
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      if (kinds.length > 1 && name !== "NotAllowedError" && name !== "NotSupportedError") {
        // One of the two is missing or in use: open the other one.
        await this.#acquireTogether(["audio"]);
        const withoutMicrophone = this.problem;
        await this.#acquireTogether(["video"]);
        this.problem = withoutMicrophone && this.problem ? sentence("NotFoundError", kinds) : withoutMicrophone ?? this.problem;
      } else {
        this.problem = sentence(name, kinds);
      }
    }
  }

  #keep(track: MediaStreamTrack): void {
    const kind = track.kind as Kind;
    this.#drop(kind);
    this[kind] = track;
    track.addEventListener("ended", () => {
      if (this[kind] !== track) return;
      this.problem = `Your ${NAMES[kind]} was disconnected.`;
      this.#drop(kind);
    });
    this.changed();
  }

  #drop(kind: Kind): void {
    this[kind]?.stop();
    this[kind] = undefined;
    this.changed();
  }
}

const NAMES: Record<Kind, string> = { audio: "microphone", video: "camera" };

async function capture(kinds: Kind[]): Promise<MediaStreamTrack[]> {
  // navigator.mediaDevices exists on secure pages only.
  if (!navigator.mediaDevices) throw new DOMException("insecure page", "NotSupportedError");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: kinds.includes("audio") && MICROPHONE,
    video: kinds.includes("video") && CAMERA,
  });
  return stream.getTracks();
}

function sentence(errorName: string, kinds: Kind[]): string {
  const what = kinds.map((kind) => NAMES[kind]).join(" and ");
  switch (errorName) {
    case "NotAllowedError":
      return `This page may not use your ${what}. Allow it in the address bar, or join without.`;
    case "NotFoundError":
      return `No ${kinds.map((kind) => NAMES[kind]).join(" or ")} was found. You can join without.`;
    case "NotReadableError":
      return `Your ${what} is in use by another program. Close it and try again, or join without.`;
    case "NotSupportedError":
      return `Browsers give the ${what} only to pages opened over https or on localhost. You can join without.`;
    default:
      return `Your ${what} could not be opened. You can join without.`;
  }
}
