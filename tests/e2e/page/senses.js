// Ears and eyes: recognise tones in an audio track, and count and colour the decoded frames of a video track.

const LOOK_EVERY_MS = 60;
const SAME_TONE_HZ = 12; // one and a half bins of the spectrum below
const AUDIBLE_DB = -65;
const STRONG_WITHIN_DB = 18; // a peak this far under the loudest one is not counted as received
const STEADY_LOOKS = 5;
const NUMBERS_TO_SEE = 5;
const SAME_COLOUR = 70; // per channel: the way through YUV and VP8 shifts plain colours
const FRAMES_TO_SEE = 3; // a stream without a camera has one black frame a second

let context;

/** The page's one audio clock. */
function audio() {
  context ??= new AudioContext({ sampleRate: 48_000 });
  return context;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));

/** Looks again and again until `look` has been true `steady` times on end or the time is over; answers whether it was. */
async function until(look, ms, steady = 1) {
  const end = performance.now() + ms;
  let good = 0;
  while (good < steady && performance.now() < end) {
    await pause();
    good = look() ? good + 1 : 0;
  }
  return good >= steady;
}

export class Listener {
  constructor(track) {
    const stream = new MediaStream([track]);
    // Chromium feeds a remote track to Web Audio only while a media element plays it too.
    this.element = Object.assign(new Audio(), { srcObject: stream, muted: true });
    this.element.play();
    this.analyser = new AnalyserNode(audio(), { fftSize: 8192, smoothingTimeConstant: 0 });
    audio().createMediaStreamSource(stream).connect(this.analyser);
    this.spectrum = new Float32Array(this.analyser.frequencyBinCount);
  }

  /** The strong peaks of the moment as [{hz, db}], by frequency. */
  peaks() {
    const { analyser, spectrum } = this;
    analyser.getFloatFrequencyData(spectrum);
    const floor = Math.max(AUDIBLE_DB, Math.max(...spectrum) - STRONG_WITHIN_DB);
    const hertzPerBin = audio().sampleRate / analyser.fftSize;
    const found = [];
    for (let bin = 4; bin < spectrum.length - 1; bin += 1) {
      const top = spectrum[bin] >= floor && spectrum[bin] > spectrum[bin - 1] && spectrum[bin] >= spectrum[bin + 1];
      if (top) found.push({ hz: Math.round(bin * hertzPerBin), db: Math.round(spectrum[bin]) });
    }
    return found;
  }

  /** Waits until exactly the expected tones are received, steadily; answers {ok, received}. */
  async receives(expected, ms) {
    let received = [];
    const ok = await until(() => {
      received = this.peaks();
      const near = (a, b) => Math.abs(a - b) <= SAME_TONE_HZ;
      return expected.every((hz) => received.some((peak) => near(hz, peak.hz))) && received.every((peak) => expected.some((hz) => near(hz, peak.hz)));
    }, ms, STEADY_LOOKS);
    return { ok, received };
  }
}

export class Watcher {
  constructor(track) {
    this.video = Object.assign(document.createElement("video"), { srcObject: new MediaStream([track]), muted: true });
    this.canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    this.frames = 0;
    document.body.append(this.video);
    this.video.play();
    const count = () => {
      this.frames += 1;
      this.video.requestVideoFrameCallback(count);
    };
    this.video.requestVideoFrameCallback(count);
  }

  colour() {
    const { video, canvas } = this;
    canvas.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }

  /** Waits until several new frames have been decoded and the last one has the colour [r, g, b]; answers what was seen. */
  async sees(colour, ms) {
    const before = this.frames;
    let seen = [];
    const ok = await until(() => {
      if (this.frames < before + FRAMES_TO_SEE) return false;
      seen = this.colour();
      return colour.every((value, channel) => Math.abs(value - seen[channel]) <= SAME_COLOUR);
    }, ms);
    return { ok, colour: seen, frames: this.frames - before, width: this.video.videoWidth, height: this.video.videoHeight };
  }

  /** The number that the picture shows: eight squares along its upper edge, of which white ones are ones. */
  number() {
    const { video } = this;
    const strip = new OffscreenCanvas(8, 1).getContext("2d");
    for (let bit = 0; bit < 8; bit += 1) {
      strip.drawImage(video, ((bit + 0.5) * video.videoWidth) / 8, video.videoHeight / 16, 1, 1, bit, 0, 1, 1);
    }
    const { data } = strip.getImageData(0, 0, 8, 1);
    return [...Array(8).keys()].reduce((sum, bit) => sum * 2 + (data[bit * 4 + 1] > 127 ? 1 : 0), 0);
  }

  /** Waits until the picture has shown several numbers, one after another; answers them. */
  async numbers(ms) {
    const seen = [];
    await until(() => {
      const number = this.number();
      if (number !== seen.at(-1)) seen.push(number);
      return seen.length > NUMBERS_TO_SEE;
    }, ms);
    return seen;
  }
}
