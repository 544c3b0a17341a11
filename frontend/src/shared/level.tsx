/** A bar that shows the level of the microphone. */
import { useEffect, useRef } from "preact/hooks";

export function Level({ track }: { track: MediaStreamTrack }) {
  const bar = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const audio = new AudioContext();
    const analyser = audio.createAnalyser();
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let frame = requestAnimationFrame(function draw() {
      analyser.getFloatTimeDomainData(samples);
      const power = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
      // -60 dB to -10 dB fills the bar.
      const level = track.enabled ? Math.min(1, Math.max(0, (20 * Math.log10(power + 1e-6) + 60) / 50)) : 0;
      bar.current?.style.setProperty("--level", level.toFixed(3));
      frame = requestAnimationFrame(draw);
    });
    // Browsers suspend an AudioContext until the first click or key on the page.
    const wake = (): void => void audio.resume();
    const gestures = ["pointerdown", "keydown"] as const;
    for (const gesture of gestures) window.addEventListener(gesture, wake);
    return () => {
      for (const gesture of gestures) window.removeEventListener(gesture, wake);
      cancelAnimationFrame(frame);
      void audio.close();
    };
  }, [track]);
  return <span class="level" ref={bar} aria-hidden="true" />;
}
