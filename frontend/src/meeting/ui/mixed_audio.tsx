/**
 * The sound of everybody else, as one track.
 *
 * Every speaker reaches us twice: in their own stream and in the server's mix. We play the mix: one decoder and
 * one connection however many people there are, and each listener's mix leaves out their own voice. The
 * subscriptions therefore ask for pictures only.
 */
import { useEffect, useRef, useState } from "preact/hooks";

export function MixedAudio({ track }: { track: MediaStreamTrack | undefined }) {
  const element = useRef<HTMLAudioElement>(null);
  const [isBlocked, setBlocked] = useState(false);
  const play = (): void => {
    element.current?.play().then(
      () => setBlocked(false),
      (error: unknown) => setBlocked(error instanceof DOMException && error.name === "NotAllowedError"),
    );
  };
  useEffect(() => {
    if (!element.current) return;
    element.current.srcObject = track ? new MediaStream([track]) : null;
    if (track) play();
  }, [track]);
  return (
    <>
      <audio ref={element} autoplay data-testid="mixed-audio" />
      {isBlocked && (
        <button type="button" class="unblock" onClick={play}>
          Turn on sound
        </button>
      )}
    </>
  );
}
