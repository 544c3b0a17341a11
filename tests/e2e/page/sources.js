// Made-up devices: a microphone that is one pure tone, a camera that is one plain colour.
const playing = new Set(); // what nothing refers to any more is collected, and falls silent

let context;

/** The page's only audio clock, shared with everything that listens. */
export function audio() {
  // A long buffer: with a short one a busy machine silences the tone that a test listens for.
  context ??= new AudioContext({ sampleRate: 48_000, latencyHint: "playback" });
  return context;
}

/** A track with a sine of `hertz`; gain 1 is full scale. */
export function microphone(hertz, gain = 0.5) {
  const oscillator = new OscillatorNode(audio(), { frequency: hertz });
  const level = new GainNode(audio(), { gain });
  const destination = new MediaStreamAudioDestinationNode(audio(), { channelCount: 1 });
  oscillator.connect(level).connect(destination);
  oscillator.start();
  playing.add(oscillator);
  return destination.stream.getAudioTracks()[0];
}

/** A track that is all `colour`, but for a small counter in the corner that makes each of `rate` frames a second a new one. */
export function camera(colour, width = 320, height = 240, rate = 10) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const brush = canvas.getContext("2d");
  let count = 0;
  const draw = () => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, width, height);
    brush.fillStyle = "white";
    brush.fillText(String(count++), 4, 12);
  };
  draw();
  setInterval(draw, 1000 / rate);
  return canvas.captureStream(rate).getVideoTracks()[0];
}
