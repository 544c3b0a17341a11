/** The grid of participants, beside the shared screens. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Participant } from "../call/participants";
import { fitTiles, type Fit } from "./grid";
import { ScreenTile, Tile } from "./tile";

interface Props {
  participants: Participant[];
  ownVideo: MediaStreamTrack | undefined;
  ownScreen: MediaStreamTrack | undefined;
}

const GAP = 12;

export function Stage({ participants, ownVideo, ownScreen }: Props) {
  const screens = participants.flatMap((participant) => {
    const track = participant.isSelf ? ownScreen : participant.screen;
    return track ? [{ participant, track }] : [];
  });
  return (
    <main class={`stage${screens.length ? " with-screen" : ""}`}>
      {screens.length > 0 && (
        <div class="screens">
          {screens.map(({ participant, track }) => (
            <ScreenTile key={participant.id} participant={participant} track={track} />
          ))}
        </div>
      )}
      <Grid participants={participants} ownVideo={ownVideo} />
    </main>
  );
}

function Grid({ participants, ownVideo }: Omit<Props, "ownScreen">) {
  const list = useRef<HTMLUListElement>(null);
  const [area, setArea] = useState<Fit>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    const measure = (): void => setArea({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const { width, height } = fitTiles(participants.length, area, GAP, innerHeight > innerWidth);
  return (
    <ul
      class="grid"
      ref={list}
      aria-label="Participants"
      style={{ "--tile-width": `${width}px`, "--tile-height": `${height}px`, "--gap": `${GAP}px` }}
    >
      {participants.map((participant) => (
        <Tile key={participant.id} participant={participant} ownVideo={ownVideo} />
      ))}
    </ul>
  );
}
