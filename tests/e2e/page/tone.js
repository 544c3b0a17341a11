// The worker behind a made-up microphone: it writes a sine in real time.
const RATE = 48_000;
const FRAMES = 480;

onmessage = async ({ data: { writable, hertz, gain } }) => {
  const writer = writable.getWriter();
  const begin = performance.now();
  let written = 0;
  const catchUp = async () => {
    // Whatever is due, also after a stall: an AudioContext skips what it did not get round to, for good.
    for (const due = ((performance.now() - begin) * RATE) / 1000; written + FRAMES <= due; written += FRAMES) {
      const data = Float32Array.from({ length: FRAMES }, (_, n) => gain * Math.sin((2 * Math.PI * hertz * ((written + n) % RATE)) / RATE));
      const timestamp = Math.round((written * 1e6) / RATE);
      await writer.write(new AudioData({ format: "f32", sampleRate: RATE, numberOfFrames: FRAMES, numberOfChannels: 1, timestamp, data }));
    }
    setTimeout(() => catchUp().catch(close), 10); // writing fails once the track was stopped
  };
  await catchUp();
};
