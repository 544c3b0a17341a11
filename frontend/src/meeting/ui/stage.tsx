/** The area of the pictures: a grid of everybody, beside a shared screen if there is one. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Person } from "../call/people";
import { fitTiles, type Fit } from "./grid";
import { ScreenTile, Tile } from "./tile";

interface Props {
  people: Person[];
  ownVideo: MediaStreamTrack | undefined;
  ownScreen: MediaStreamTrack | undefined;
}

const GAP = 12;

export function Stage({ people, ownVideo, ownScreen }: Props) {
  const screens = people.flatMap((person) => {
    const track = person.isSelf ? ownScreen : person.screen;
    return track ? [{ person, track }] : [];
  });
  return (
    <main class={`stage${screens.length ? " with-screen" : ""}`}>
      {screens.length > 0 && (
        <div class="screens">
          {screens.map(({ person, track }) => (
            <ScreenTile key={person.id} person={person} track={track} />
          ))}
        </div>
      )}
      <Grid people={people} ownVideo={ownVideo} />
    </main>
  );
}

function Grid({ people, ownVideo }: Omit<Props, "ownScreen">) {
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
  const { width, height } = fitTiles(people.length, area, GAP, innerHeight > innerWidth);
  return (
    <ul
      class="grid"
      ref={list}
      aria-label="Participants"
      style={{ "--tile-width": `${width}px`, "--tile-height": `${height}px`, "--gap": `${GAP}px` }}
    >
      {people.map((person) => (
        <Tile key={person.id} person={person} ownVideo={ownVideo} />
      ))}
    </ul>
  );
}
