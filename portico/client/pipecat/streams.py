"""The input and the output of the transport: Pipecat processors that receive from the room and send to it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    UserAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport

from portico.client.errors import ClientError
from portico.client.frames import RATE, AudioFrame
from portico.client.participant import Participant
from portico.client.pipecat.call import Call
from portico.client.pipecat.params import PorticoParams
from portico.client.pipecat.voice import Voice

RTVI_LABEL = "rtvi-ai"


class Owner(Protocol):
    """The transport, as its input and its output use it."""

    async def enter(self, user: Any, setup: FrameProcessorSetup) -> None: ...
    async def exit(self, user: Any) -> None: ...
    async def cleanup(self) -> None: ...


class PorticoInputTransport(BaseInputTransport):
    """Brings the audio of the room into the pipeline: the mix, or each participant's own."""

    def __init__(self, owner: Owner, call: Call, params: PorticoParams, **options: Any) -> None:
        super().__init__(params, **options)
        self._owner = owner
        self._call = call
        self._separately = params.audio_in_user_tracks
        self._is_streaming = False
        self._readers: dict[str, asyncio.Task[None]] = {}

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as in Pipecat's own classes
        """Join the room. Raises ClientError, which Pipecat reports as a permanent error of this processor."""
        await super().setup(setup)
        await self._owner.enter(self, setup)

    async def start(self, frame: StartFrame) -> None:
        """Begin to read the room's sound. End the pipeline instead when the call is over, or was never joined."""
        await super().start(frame)
        if (ended := self._call.room.ended) is not None:
            await self.push_frame(EndWorkerFrame(reason=f"no call: {ended.reason}"))
            return
        await self.set_transport_ready(frame)
        if self._params.audio_in_stream_on_start:
            await self._start_audio_in_streaming()

    async def stop(self, frame: EndFrame) -> None:
        """Stop reading. The client leaves the room once the output has ended as well."""
        await super().stop(frame)
        await self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop reading at once."""
        await super().cancel(frame)
        await self._end()

    async def cleanup(self) -> None:
        """End as `stop` does, if neither `stop` nor `cancel` was called."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._end()
        await self._owner.cleanup()

    def receive_from(self, participant: Participant) -> None:
        """Read a participant's own sound from now on, until the participant leaves."""
        if self._separately and self._is_streaming and participant.id not in self._readers:
            reading = self._read(participant.audio(), participant.id)
            self._readers[participant.id] = self.create_task(reading, f"audio of {participant.id}")

    async def _start_audio_in_streaming(self) -> None:
        if self._is_streaming or not self._params.audio_in_enabled:
            return
        self._is_streaming = True
        if self._separately:
            for participant in self._call.room.participants:
                self.receive_from(participant)
        else:
            self._readers[""] = self.create_task(self._read(self._call.room.audio(), ""), "audio of the mix")

    async def _read(self, frames: AsyncIterator[AudioFrame], user_id: str) -> None:
        resampler = create_stream_resampler()
        try:
            async for frame in frames:
                pcm = await resampler.resample(frame.pcm, RATE, self.sample_rate)
                if pcm and user_id:
                    await self.push_audio_frame(
                        UserAudioRawFrame(user_id=user_id, audio=pcm, sample_rate=self.sample_rate, num_channels=1)
                    )
                elif pcm:
                    await self.push_audio_frame(
                        InputAudioRawFrame(audio=pcm, sample_rate=self.sample_rate, num_channels=1)
                    )
        except ClientError as error:
            await self.push_error(f"the room's audio ended: {error}", exception=error)
        finally:
            self._readers.pop(user_id, None)

    async def _end(self) -> None:
        self._is_streaming = False
        for reader in list(self._readers.values()):
            await self.cancel_task(reader)
        await self._owner.exit(self)


class PorticoOutputTransport(BaseOutputTransport):
    """Sends the sound and the messages of the pipeline to the room."""

    def __init__(self, owner: Owner, call: Call, voice: Voice | None, params: PorticoParams, **options: Any) -> None:
        super().__init__(params, **options)
        self._owner = owner
        self._call = call
        self._voice = voice

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as in Pipecat's own classes
        """Join the room. Raises ClientError, which Pipecat reports as a permanent error of this processor."""
        await super().setup(setup)
        await self._owner.enter(self, setup)

    async def start(self, frame: StartFrame) -> None:
        """Take frames from now on. End the pipeline, too, when the call is over, or was never joined."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        if (ended := self._call.room.ended) is not None:
            await self.push_frame(EndWorkerFrame(reason=f"no call: {ended.reason}"))

    async def stop(self, frame: EndFrame) -> None:
        """Play what is queued, then leave."""
        await super().stop(frame)
        await self._owner.exit(self)

    async def cancel(self, frame: CancelFrame) -> None:
        """Leave at once."""
        await super().cancel(frame)
        await self._owner.exit(self)

    async def cleanup(self) -> None:
        """End as `stop` does, if neither `stop` nor `cancel` was called."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._owner.exit(self)
        await self._owner.cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Do what Pipecat's base class does; an interruption also drops the audio that waits to be sent."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and self._voice is not None:
            self._voice.clear()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play a chunk; return when the next one may come. False when the call is over."""
        return self._voice is not None and self._call.room.ended is None and await self._voice.play(frame.audio)

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        """Send a chat message: a text, an object with `type` and `payload`, or another object as the payload.

        Messages of RTVI, which Pipecat adds to every pipeline for clients of its own, are no chat: they are dropped.
        """
        is_rtvi = isinstance(frame.message, dict) and frame.message.get("label") == RTVI_LABEL
        if is_rtvi or self._call.room.ended is not None:
            return
        to = getattr(frame, "participant_id", None)
        try:
            await self._send(frame.message, to)
        except ClientError as error:
            await self.push_error(f"the message was not sent: {error}", exception=error)

    async def _send(self, message: Any, to: str | None) -> None:
        room = self._call.room
        recipients = None if to is None else [one for one in room.participants if one.id == to]
        if recipients == []:
            raise ClientError(f"no participant {to} is in the room")
        if isinstance(message, str):
            await room.send(message, recipients)
        elif isinstance(message, dict) and {"type", "payload"} <= message.keys():
            await room.send_content(message, recipients)
        else:
            await room.send_content({"type": "app", "payload": message}, recipients)
