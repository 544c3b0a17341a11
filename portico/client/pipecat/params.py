"""The parameters of the transport, and the frames that carry chat messages of a room."""

from dataclasses import dataclass
from typing import Self

from pipecat.frames.frames import (
    InputTransportMessageFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.transports.base_transport import TransportParams
from pydantic import model_validator

from portico.client.frames import RATE


class PorticoParams(TransportParams):
    """Pipecat's parameters, as far as they concern mono audio and messages; others are refused.

    The input resamples from 48 kHz to the pipeline's rate; the output resamples whatever the pipeline gives to 48 kHz.
    """

    audio_in_user_tracks: bool = False
    """Receive each participant's audio by itself, as UserAudioRawFrame with `user_id`, some 100 ms sooner.

    All arrive through the one input: a pipeline with a single VAD and STT can use this while one participant speaks to
    it. By default it receives the mix of all participants but itself, as InputAudioRawFrame.
    """
    audio_out_sample_rate: int | None = RATE

    @model_validator(mode="after")
    def _only_what_works(self) -> Self:
        if self.audio_in_channels != 1 or self.audio_out_channels != 1:
            raise ValueError("audio of a room is mono: audio_in_channels and audio_out_channels must be 1")
        if self.audio_out_sample_rate not in (None, RATE):
            raise ValueError(f"audio_out_sample_rate must be {RATE}; audio of any other rate is resampled to it")
        if self.video_in_enabled or self.video_out_enabled:
            raise ValueError("this transport carries no video yet: use portico.client for it")
        if self.audio_out_destinations or self.video_out_destinations:
            raise ValueError("this transport has one output and no named destinations")
        self.__dict__["audio_out_sample_rate"] = RATE
        return self


@dataclass
class PorticoInputTransportMessageFrame(InputTransportMessageFrame):
    """A chat message of the room: `message` is its object, with `type` and `payload`."""

    participant_id: str = ""
    """Who sent it."""


@dataclass
class PorticoOutputTransportMessageFrame(OutputTransportMessageFrame):
    """A chat message to the room, or to one participant; it waits for audio that was queued before it."""

    participant_id: str | None = None


@dataclass
class PorticoOutputTransportMessageUrgentFrame(OutputTransportMessageUrgentFrame):
    """A chat message to the room, or to one participant, at once."""

    participant_id: str | None = None
