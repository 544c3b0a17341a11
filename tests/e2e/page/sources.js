// Made-up devices: a microphone that is one pure tone, a camera that is one plain colour.

/** A track with a sine of `hertz`; gain 1 is full scale. Of what it says nothing is lost, however busy the machine is. */
export function microphone(hertz, gain = 0.5) {
  const track = new MediaStreamTrackGenerator({ kind: "audio" });
  const { writable } = track;
  new Worker("/tone.js").postMessage({ writable, hertz, gain }, [writable]);
  return track;
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

/** A microphone and a camera that change together: every `every` ms, so many `times`, a tone and the second colour begin, or end. */
export function clapperboard({ hertz, colours, every, times }) {
  const tracks = ["audio", "video"].map((kind) => new MediaStreamTrackGenerator({ kind }));
  const writables = tracks.map(({ writable }) => writable);
  new Worker("/clapper.js").postMessage({ writables, hertz, colours, every, times }, writables);
  return tracks;
}
