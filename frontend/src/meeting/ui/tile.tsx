/** The tile of one participant: video or initials, name, microphone state, and a ring while speaking. */
import type { Participant } from "../call/participants";
import { hueOf, initialsOf } from "./avatar";
import { Microphone } from "../../shared/icons";
import { Video } from "./video";

export function Tile({ participant, ownVideo }: { participant: Participant; ownVideo: MediaStreamTrack | undefined }) {
  const { name, isSelf, isMicrophoneOn, isCensored } = participant;
  // The own video comes from the camera itself instead of the server.
  const track = isSelf ? ownVideo : participant.video;
  const isSilent = !isMicrophoneOn || isCensored;
  const isSpeaking = participant.isSpeaking && !isSilent;
  const silence = isCensored ? "muted by the operator" : "microphone off";
  return (
    <li
      class={`tile${isSpeaking ? " speaking" : ""}`}
      style={{ "--hue": hueOf(name) }}
      data-testid="tile"
      data-participant-id={participant.id}
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

export function ScreenTile({ participant, track }: { participant: Participant; track: MediaStreamTrack }) {
  const title = participant.isSelf ? "You share your screen" : `${participant.name} shares a screen`;
  return (
    <figure class="screen-tile" data-testid="screen-tile" data-participant-id={participant.id}>
      <Video key={track.id} track={track} label={title} />
      <figcaption class="label">
        <span class="who">{title}</span>
      </figcaption>
    </figure>
  );
}
