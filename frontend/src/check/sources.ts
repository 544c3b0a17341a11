/** A generated picture and a generated tone: the check needs no camera, and sends nothing of the user. */

const WIDTH = 640;
const HEIGHT = 360;
/** Pictures that are drawn in each second. */
export const FRAMES_PER_SEC = 20;

export class Sources {
  readonly tone: MediaStreamTrack;
  readonly picture: MediaStreamTrack;
  /** Pictures that were drawn so far. */
  drawn = 0;
  #audio = new AudioContext();
  #drawing: number;

  /** Call it in a click: browsers start an AudioContext only then. */
  constructor() {
    const oscillator = this.#audio.createOscillator();
    const volume = this.#audio.createGain();
    volume.gain.value = 0.1;
    const sink = this.#audio.createMediaStreamDestination();
    oscillator.connect(volume).connect(sink);
    oscillator.start();
    void this.#audio.resume();
    this.tone = trackOf(sink.stream);

    const canvas = document.createElement("canvas");
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    this.picture = trackOf(canvas.captureStream(FRAMES_PER_SEC));
    const draw = noise(canvas);
    this.#drawing = setInterval(() => {
      draw();
      this.drawn += 1;
    }, 1000 / FRAMES_PER_SEC);
  }

  close(): void {
    clearInterval(this.#drawing);
    this.tone.stop();
    this.picture.stop();
    void this.#audio.close();
  }
}

function trackOf(stream: MediaStream): MediaStreamTrack {
  const [track] = stream.getTracks();
  if (!track) throw new Error("a generated stream has no track");
  return track;
}

/** A function that draws a frame that no encoder makes small, so that the whole bit rate is used. */
function noise(canvas: HTMLCanvasElement): () => void {
  const small = document.createElement("canvas");
  small.width = WIDTH / 4;
  small.height = HEIGHT / 4;
  const from = small.getContext("2d");
  const to = canvas.getContext("2d");
  if (!from || !to) throw new Error("this browser has no canvas");
  const pixels = from.createImageData(small.width, small.height);
  const words = new Uint32Array(pixels.data.buffer);
  return () => {
    for (let index = 0; index < words.length; index += 1) words[index] = 0xff000000 | (Math.random() * 0xffffff);
    from.putImageData(pixels, 0, 0);
    to.drawImage(small, 0, 0, WIDTH, HEIGHT);
  };
}
