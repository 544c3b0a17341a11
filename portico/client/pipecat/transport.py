"""The transport: the room as the two ends of a Pipecat pipeline, and its events as Pipecat's event handlers."""

from typing import Any

from pipecat.frames.frames import BotConnectedFrame, ClientConnectedFrame, EndWorkerFrame, Frame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_transport import BaseTransport

from portico.client.events import Ended, Event, Joined, Left, Message, Rejoined
from portico.client.participant import Participant
from portico.client.pipecat.call import Call
from portico.client.pipecat.params import (
    PorticoInputTransportMessageFrame,
    PorticoOutputTransportMessageFrame,
    PorticoOutputTransportMessageUrgentFrame,
    PorticoParams,
)
from portico.client.pipecat.streams import PorticoInputTransport, PorticoOutputTransport
from portico.client.pipecat.voice import Voice
from portico.client.room import Room

__all__ = [
    "PorticoInputTransportMessageFrame",
    "PorticoOutputTransportMessageFrame",
    "PorticoOutputTransportMessageUrgentFrame",
    "PorticoParams",
    "PorticoTransport",
]

EVENTS = (
    "on_connected",
    "on_disconnected",
    "on_participant_joined",
    "on_participant_left",
    "on_first_participant_joined",
    "on_client_connected",
    "on_client_disconnected",
    "on_app_message",
)


class PorticoTransport(BaseTransport):
    """A participant of a room, for a pipeline: `Pipeline([transport.input(), ..., transport.output()])`.

    Event handlers, each called with the transport first: `on_connected`; `on_disconnected`; `on_participant_joined`,
    `on_first_participant_joined` and `on_client_connected` with the participant; `on_participant_left` with the
    participant and the reason; `on_client_disconnected` with the participant; `on_app_message` with the message (an
    object with `type` and `payload`) and the sender's participant id. When the call ends, the pipeline ends.
    """

    def __init__(
        self,
        base_url: str,
        room_id: str,
        token: str,
        params: PorticoParams | None = None,
        *,
        context: dict[str, Any] | str | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
    ) -> None:
        """`base_url`, `room_id`, `token` and `context` are those of `portico.client.Room.join`."""
        super().__init__(input_name=input_name, output_name=output_name)
        self._params = params or PorticoParams()
        self._voice = Voice() if self._params.audio_out_enabled else None
        self.room = Room.join(base_url, room_id, token, context={"name": "Bot"} if context is None else context)
        """The client's room, for everything that Pipecat has no frames for."""
        self._call = Call(self.room, self._voice, self._take)
        self._input: PorticoInputTransport | None = None
        self._output: PorticoOutputTransport | None = None
        self._is_first = True
        for name in EVENTS:
            self._register_event_handler(name)

    def input(self) -> PorticoInputTransport:
        """The first processor of a pipeline: it emits the audio and the chat messages of the room."""
        if self._input is None:
            self._input = PorticoInputTransport(self, self._call, self._params, name=self._input_name)
        return self._input

    def output(self) -> PorticoOutputTransport:
        """The last processor of a pipeline: it sends audio and chat messages to the room."""
        if self._output is None:
            self._output = PorticoOutputTransport(self, self._call, self._voice, self._params, name=self._output_name)
        return self._output

    def get_client_id(self, client: Any) -> str:
        """The id of a participant."""
        return client.id if isinstance(client, Participant) else ""

    async def send_message(self, message: Any, participant_id: str | None = None) -> None:
        """Send a chat message at once, to all participants or to one."""
        frame = PorticoOutputTransportMessageUrgentFrame(message=message, participant_id=participant_id)
        await self.output().send_message(frame)

    async def enter(self, user: Any, setup: FrameProcessorSetup) -> None:
        """Join the room, unless the other half has joined it. Called by the input and the output."""
        await self._call.enter(user, setup.task_manager, self._connected)

    async def exit(self, user: Any) -> None:
        """Leave the room, unless the other half still needs it. Called by the input and the output."""
        await self._call.exit(user)

    async def _connected(self) -> None:
        await self._call_event_handler("on_connected")
        await self._push(BotConnectedFrame())

    async def _take(self, event: Event) -> None:
        match event:
            case Joined(participant):
                await self._joined(participant)
            case Left(participant, reason):
                await self._call_event_handler("on_participant_left", participant, reason)
                await self._call_event_handler("on_client_disconnected", participant)
            case Message(participant) if not participant.is_self:
                await self._push(PorticoInputTransportMessageFrame(event.content, participant_id=participant.id))
                await self._call_event_handler("on_app_message", event.content, participant.id)
            case Rejoined():
                await self._call_event_handler("on_connected")
            case Ended(reason):
                await self._call_event_handler("on_disconnected")
                if reason != "left":
                    await self._push(EndWorkerFrame(reason=f"the call is over: {reason}"))

    async def _joined(self, participant: Participant) -> None:
        if self._input is not None:
            self._input.receive_from(participant)
        await self._call_event_handler("on_participant_joined", participant)
        if self._is_first:
            self._is_first = False
            await self._call_event_handler("on_first_participant_joined", participant)
        await self._call_event_handler("on_client_connected", participant)
        await self._push(ClientConnectedFrame())

    async def _push(self, frame: Frame) -> None:
        """Push a frame into the pipeline, from the input or, in a pipeline without one, from the output."""
        if (half := self._input or self._output) is not None:
            await half.push_frame(frame)
