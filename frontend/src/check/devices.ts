/** The microphone and the camera: whether they open, and whether they bring sound and a picture. */
import { within } from "../shared/deadline";
import { Observable } from "../shared/observable";
import type { Device } from "./results";

export type Kind = "microphone" | "camera";

/** How long the question of the browser may stay unanswered. */
const PERMISSION_MILLIS = 30_000;
const WATCH_MILLIS = 100;
/** The loudest sample of a microphone that is not muted, even in a quiet room, from 0 to 1. */
const SILENCE = 0.003;
/** Difference of the darkest and the brightest point, of 255. */
const BLACK = 8;

export class DeviceTest extends Observable {
  track: MediaStreamTrack | undefined;
  outcome: Device = "untested";
  #watching: ReturnType<typeof setInterval> | undefined;
  #closes: (() => void)[] = [];

  constructor(readonly kind: Kind) {
    super();
  }

  /** Open the device and watch it until `close`. Resolves when the browser has given it or not. */
  async open(): Promise<void> {
    try {
      this.track = await capture(this.kind);
    } catch (error) {
      this.outcome = outcomeOf(error);
      this.changed();
      return;
    }
    this.outcome = "silent";
    const brings = this.kind === "microphone" ? this.#listensTo(this.track) : this.#looksAt(this.track);
    this.#watching = setInterval(() => {
      if (brings()) {
        this.outcome = "works";
        clearInterval(this.#watching);
        this.changed();
      }
    }, WATCH_MILLIS);
    this.changed();
  }

  close(): void {
    clearInterval(this.#watching);
    for (const close of this.#closes) close();
    this.track?.stop();
    this.track = undefined;
    this.changed();
  }

  #listensTo(track: MediaStreamTrack): () => boolean {
    const audio = new AudioContext();
    this.#closes.push(() => void audio.close());
    void audio.resume();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    return () => {
      analyser.getFloatTimeDomainData(samples);
      return samples.some((sample) => Math.abs(sample) > SILENCE);
    };
  }

  #looksAt(track: MediaStreamTrack): () => boolean {
    const video = document.createElement("video");
    video.muted = true;
    video.playsInline = true;
    video.srcObject = new MediaStream([track]);
    video.play().catch((error: unknown) => console.debug(error));
    this.#closes.push(() => (video.srcObject = null));
    const canvas = document.createElement("canvas");
    canvas.width = 32;
    canvas.height = 18;
    const drawing = canvas.getContext("2d", { willReadFrequently: true });
    return () => {
      if (!drawing || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false;
      drawing.drawImage(video, 0, 0, canvas.width, canvas.height);
      const greens = drawing.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, index) => index % 4 === 1);
      return Math.max(...greens) - Math.min(...greens) > BLACK;
    };
  }
}

async function capture(kind: Kind): Promise<MediaStreamTrack> {
  // navigator.mediaDevices exists on secure pages only.
  if (!navigator.mediaDevices) throw new DOMException("insecure page", "NotSupportedError");
  const wanted = kind === "microphone" ? { audio: true } : { video: { facingMode: "user" } };
  const asked = navigator.mediaDevices.getUserMedia(wanted);
  const stream = await within(PERMISSION_MILLIS, "the permission", asked);
  const [track] = stream.getTracks();
  if (!track) throw new DOMException("no track", "NotFoundError");
  return track;
}

function outcomeOf(error: unknown): Device {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    case "NotSupportedError":
      return "insecure";
    default:
      return error instanceof DOMException ? "failed" : "untested"; // not answered in time
  }
}
