/** Everybody in the call as plain values, read from the SDK's state. */
import type { State, Stream } from "@telnyx/video";
import { displayName } from "../../shared/names";

/** Keys of the streams a participant publishes, as other clients of this SDK name them. */
export const SELF = "self";
export const SCREEN = "presentation";

export interface Person {
  id: string;
  name: string;
  isSelf: boolean;
  isMicrophoneOn: boolean;
  /** Silenced by the meeting's operator. */
  isCensored: boolean;
  isSpeaking: boolean;
  canReceiveMessages: boolean;
  video: MediaStreamTrack | undefined;
  screen: MediaStreamTrack | undefined;
}

export function peopleOf(state: State, speaking: ReadonlySet<string>): Person[] {
  const people = [...state.participants.values()].map((participant): Person => {
    const isSelf = participant.id === state.localParticipantId;
    const own = streamOf(state, participant.streams[SELF]);
    return {
      id: participant.id,
      name: displayName(null, participant.context),
      isSelf,
      // Somebody who calls in by telephone has no stream, only a voice.
      isMicrophoneOn: own?.isAudioEnabled ?? participant.origin === "telephony_engine",
      isCensored: own?.isAudioCensored ?? false,
      isSpeaking: speaking.has(participant.id),
      canReceiveMessages: participant.canReceiveMessages,
      video: shown(own),
      screen: shown(streamOf(state, participant.streams[SCREEN])),
    };
  });
  return people.sort((a, b) => Number(b.isSelf) - Number(a.isSelf));
}

/** The SDK publishes a black square where there is no camera: `isVideoEnabled` tells the truth. */
function shown(stream: Stream | undefined): MediaStreamTrack | undefined {
  return stream?.isVideoEnabled ? (stream.videoTrack as MediaStreamTrack | undefined) : undefined;
}

function streamOf(state: State, id: string | undefined): Stream | undefined {
  return id === undefined ? undefined : state.streams.get(id);
}
