// The worker behind a clapperboard: writes a tone and a colour that change at the same instants of one clock.
const RATE = 48_000;
const FRAMES = 480;
const PICTURE_EVERY_MS = 50;

onmessage = async ({ data: { writables, hertz, colours, every, times } }) => {
  const [sound, sight] = writables.map((writable) => writable.getWriter());
  const canvas = new OffscreenCanvas(320, 240);
  const brush = canvas.getContext("2d");
  const claps = (ms) => Math.floor(ms / every) % 2 === 1 && ms < 2 * every * times;
  const begin = performance.now();
  let written = 0;
  let shown = 0;

  const play = () => {
    const ms = (written * 1000) / RATE;
    const sample = (n) => 0.5 * Math.sin((2 * Math.PI * hertz * ((written + n) % RATE)) / RATE);
    const data = Float32Array.from({ length: FRAMES }, (_, n) => (claps(ms) ? sample(n) : 0));
    written += FRAMES;
    return sound.write(new AudioData({ format: "f32", sampleRate: RATE, numberOfFrames: FRAMES, numberOfChannels: 1, timestamp: ms * 1000, data }));
  };
  const see = () => {
    const ms = shown * PICTURE_EVERY_MS;
    brush.fillStyle = colours[Number(claps(ms))];
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.fillStyle = "white";
    brush.fillText(String(shown++), 4, 12);
    return sight.write(new VideoFrame(canvas, { timestamp: ms * 1000 }));
  };
  const catchUp = async () => {
    // All due pictures and tones in their order, also after a stall, so that picture and sound stay together.
    for (const due = performance.now() - begin; shown * PICTURE_EVERY_MS <= due; await see())
      while (written < (shown * PICTURE_EVERY_MS * RATE) / 1000) await play();
    setTimeout(() => catchUp().catch(close), 10); // writing fails once the tracks were stopped
  };
  await catchUp();
};
