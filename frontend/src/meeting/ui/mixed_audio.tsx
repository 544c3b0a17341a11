/**
 * Plays the audio of all other participants as one track.
 *
 * A voice is available twice: in the participant's own stream and in the server's mix. The page plays the mix: it takes
 * one decoder and one connection for any number of participants, and does not contain the listener's own voice.
 * Therefore the subscriptions ask for video only.
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
