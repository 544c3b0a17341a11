/** The participants of the call as plain values, read from the SDK's state. */
import type { State, Stream } from "@telnyx/video";
import { displayName } from "../../shared/names";

/** Keys of the streams that a participant publishes. Other clients of the SDK use the same names. */
export const SELF = "self";
export const SCREEN = "presentation";

export interface Participant {
  id: string;
  name: string;
  isSelf: boolean;
  isMicrophoneOn: boolean;
  /** Muted over the API by the operator. */
  isCensored: boolean;
  isSpeaking: boolean;
  canReceiveMessages: boolean;
  video: MediaStreamTrack | undefined;
  screen: MediaStreamTrack | undefined;
}

/** All participants, the own one first. `speaking` has the ids of those who speak. */
export function participantsOf(state: State, speaking: ReadonlySet<string>): Participant[] {
  const participants = [...state.participants.values()].map((participant): Participant => {
    const isSelf = participant.id === state.localParticipantId;
    const own = streamOf(state, participant.streams[SELF]);
    return {
      id: participant.id,
      name: displayName(null, participant.context),
      isSelf,
      // A participant who calls in by telephone has no stream, only sound in the mix.
      isMicrophoneOn: own?.isAudioEnabled ?? participant.origin === "telephony_engine",
      isCensored: own?.isAudioCensored ?? false,
      isSpeaking: speaking.has(participant.id),
      canReceiveMessages: participant.canReceiveMessages,
      video: shown(own),
      screen: shown(streamOf(state, participant.streams[SCREEN])),
    };
  });
  return participants.sort((a, b) => Number(b.isSelf) - Number(a.isSelf));
}

/** The stream's video while its camera is on. Without a camera the SDK publishes a black picture: `isVideoEnabled` decides. */
function shown(stream: Stream | undefined): MediaStreamTrack | undefined {
  return stream?.isVideoEnabled ? (stream.videoTrack as MediaStreamTrack | undefined) : undefined;
}

function streamOf(state: State, id: string | undefined): Stream | undefined {
  return id === undefined ? undefined : state.streams.get(id);
}
