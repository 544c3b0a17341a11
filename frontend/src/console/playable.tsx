/** Buttons to play and to download the file of a recording or a composition. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Cross } from "../shared/icons";
import { Down, Play } from "./icons";

interface Props {
  kind: "audio" | "video";
  /** Changes with each read of the lists. */
  url: string;
  name: string;
}

export function Playable({ kind, url, name }: Props) {
  // A running player keeps the link it started with: with a new one it would start from the beginning.
  const [playing, setPlaying] = useState<string>();
  const player = useRef<HTMLVideoElement & HTMLAudioElement>(null);
  useEffect(() => player.current?.focus({ preventScroll: true }), [playing]);
  return (
    <>
      <div class="actions">
        <button
          type="button"
          class="plain"
          data-testid="play"
          aria-expanded={playing !== undefined}
          aria-label={playing ? `Close ${name}` : `Play ${name}`}
          title={playing ? "Close" : "Play"}
          onClick={() => setPlaying(playing ? undefined : url)}
        >
          {playing ? <Cross /> : <Play />}
        </button>
        <a class="plain" data-testid="download" href={url} download aria-label={`Download ${name}`} title="Download">
          <Down />
        </a>
      </div>
      {playing && kind === "video" && <video ref={player} src={playing} controls autoplay playsInline aria-label={name} />}
      {playing && kind === "audio" && <audio ref={player} src={playing} controls autoplay aria-label={name} />}
    </>
  );
}
