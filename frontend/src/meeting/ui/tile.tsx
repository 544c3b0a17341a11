/** One participant in the grid: a picture or initials, the name, what is off, and a ring while speaking. */
import type { Person } from "../call/people";
import { hueOf, initialsOf } from "./face";
import { Microphone } from "../../shared/icons";
import { Video } from "./video";

export function Tile({ person, ownVideo }: { person: Person; ownVideo: MediaStreamTrack | undefined }) {
  const { name, isSelf, isMicrophoneOn, isCensored } = person;
  // One's own picture comes straight from the camera, not by way of the server.
  const track = isSelf ? ownVideo : person.video;
  const isSilent = !isMicrophoneOn || isCensored;
  const isSpeaking = person.isSpeaking && !isSilent;
  const silence = isCensored ? "muted by the operator" : "microphone off";
  return (
    <li
      class={`tile${isSpeaking ? " speaking" : ""}`}
      style={{ "--hue": hueOf(name) }}
      data-testid="tile"
      data-participant-id={person.id}
      data-name={name}
      data-self={String(isSelf)}
      data-microphone={isSilent ? "off" : "on"}
      data-camera={track ? "on" : "off"}
    >
      <span class="initials" aria-hidden="true">
        {initialsOf(name)}
      </span>
      {track && <Video key={track.id} track={track} isMirrored={isSelf} label={`Camera of ${name}`} />}
      <span class="label">
        {isSilent && (
          <span class={`silent${isCensored ? " censored" : ""}`} role="img" aria-label={silence} title={silence}>
            <Microphone off />
          </span>
        )}
        <span class="who">{isSelf ? `${name} (you)` : name}</span>
      </span>
    </li>
  );
}

export function ScreenTile({ person, track }: { person: Person; track: MediaStreamTrack }) {
  const title = person.isSelf ? "You share your screen" : `${person.name} shares a screen`;
  return (
    <figure class="screen-tile" data-testid="screen-tile" data-participant-id={person.id}>
      <Video key={track.id} track={track} label={title} />
      <figcaption class="label">
        <span class="who">{title}</span>
      </figcaption>
    </figure>
  );
}
