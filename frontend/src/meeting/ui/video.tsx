/** A picture that shows one track and tells when its first frame is there. */
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
    // Muted video may always start; it is refused only when the element goes away while it starts.
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
