/** A video element that shows one track; it gets the class `playing` with the first frame. */
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  track: MediaStreamTrack;
  isMirrored?: boolean;
  label: string;
}

export function Video({ track, isMirrored = false, label }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    setPlaying(false);
    video.srcObject = new MediaStream([track]);
    // Browsers always play muted video; play() rejects only when the element is removed meanwhile.
    video.play().catch((error: unknown) => console.debug(error));
    return () => {
      video.srcObject = null;
    };
  }, [track]);
  return (
    <video
      ref={element}
      class={`picture${isMirrored ? " mirrored" : ""}${isPlaying ? " playing" : ""}`}
      onPlaying={() => setPlaying(true)}
      aria-label={label}
      autoplay
      playsInline
      muted
    />
  );
}
