"""One simulated participant: does what its plan says, receives what the others send, and records it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from portico.client import (
    SCREEN,
    SELF,
    ClientError,
    EncodedFrame,
    Ended,
    Event,
    Left,
    Lost,
    Message,
    Participant,
    Publication,
    Published,
    Rejoined,
    Room,
    Unpublished,
)
from portico.client.coding import VideoDecoder
from portico.simulator import tones
from portico.simulator.card import BITRATE, Card, read_note
from portico.simulator.group import Group
from portico.simulator.network import Network
from portico.simulator.plan import Action, Step
from portico.simulator.quality import Record, Seen
from portico.simulator.server import CannotSimulate

LOOK_SECS = 0.5
"""The time between two checks of which tones are in the mix."""
SETTLED_SECS = 2.0
"""Nothing is checked for this long after a change: a tone, for example, is expected 2 s after an unmute."""


class Member:
    """One simulated participant. `do` performs a step of its plan."""

    def __init__(self, group: Group, number: int, record: Record) -> None:
        """`number` is the participant's number in the plan of its room."""
        self.number = number
        self.record = record
        self.changed_at = 0.0
        """The time.monotonic() of the last change of what it receives: its join, or the end of a bad network."""
        self._group = group
        self._room: Room | None = None
        self._network: Network | None = None
        self._own: dict[str, tuple[Publication, Card]] = {}
        self._watches: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._follower: list[asyncio.Task[None]] = []
        self._joined_at = 0.0
        self._mic_on = True

    @property
    def is_present(self) -> bool:
        """Whether it is in the room."""
        return self._room is not None and self._room.ended is None

    @property
    def speaks(self) -> bool:
        """Whether it sends its tone."""
        return self.is_present and SELF in self._own and self._mic_on

    @property
    def has_bad_network(self) -> bool:
        """Whether its network is bad on purpose, so that its media say nothing about the server."""
        return self._network is not None and self._network.is_bad

    async def do(self, step: Step) -> None:
        """Perform a step. A failure is added to the record."""
        actions: dict[Action, Callable[[], Awaitable[None]]] = {
            Action.JOIN: self._join,
            Action.LEAVE: self.leave,
            Action.PUBLISH: self._publish,
            Action.MUTE: lambda: self._switch(is_on=False),
            Action.UNMUTE: lambda: self._switch(is_on=True),
            Action.SHARE: self._share,
            Action.UNSHARE: self._unshare,
            Action.CHAT: self._chat,
            Action.LOSE: lambda: self._lose(step.value),
            Action.RECOVER: self._recover,
            Action.DISCONNECT: self._disconnect,
        }
        if step.action is not Action.JOIN and not self.is_present:
            return  # it could not join, which is recorded
        try:
            await actions[step.action]()
        except (ClientError, CannotSimulate) as error:
            self.record.failures.append(f"cannot {step.action}: {error}")

    async def stop_receiving(self) -> None:
        """Stop receiving, so that the leaves of other participants do not count as freezes."""
        tasks, self._follower = [*self._follower, *self._watches.values()], []
        self._watches.clear()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.record.failures += [f"has a fault: {one!r}" for one in results if isinstance(one, Exception)]

    async def leave(self) -> None:
        """Leave the room. Does nothing if it is not in the room."""
        room, self._room = self._room, None
        if room is None:
            return
        self.record.present_secs += time.monotonic() - self._joined_at
        await self.stop_receiving()
        self._own.clear()
        self._group.changed(self)
        await room.leave()

    async def _join(self) -> None:
        group = self._group
        began = time.monotonic()
        token = await group.token()
        room = Room.join(group.base_url, group.room_id, token, context={"name": self.record.name})
        await room.__aenter__()
        took = time.monotonic() - began
        self._room, self._network = room, Network(room, self.number)
        self._joined_at = time.monotonic()
        self._mic_on = True
        self.record.joins += 1
        self.record.join_secs = max(took, self.record.join_secs or 0.0)
        self.record.sound.begin()
        self._settle()
        self._follower = [asyncio.create_task(self._follow(room)), asyncio.create_task(self._listen(room))]

    async def _publish(self) -> None:
        await self._put(SELF, self.record.name)

    async def _share(self) -> None:
        await self._put(SCREEN, f"{self.record.name} screen")

    async def _put(self, key: str, text: str) -> None:
        assert self._room is not None
        card = self._group.card(text, self)
        audio = tones.tone(self.number) if key == SELF else None
        publication = await self._room.publish(audio=audio, video=card, stream=key, bitrate=BITRATE)
        self._own[key] = publication, card
        self._group.changed(self)

    async def _unshare(self) -> None:
        if (own := self._own.pop(SCREEN, None)) is not None and self._room is not None:
            await self._room.unpublish(own[0])

    async def _switch(self, *, is_on: bool) -> None:
        if (own := self._own.get(SELF)) is not None and self._room is not None:
            self._mic_on = is_on
            self._group.changed(self)
            await self._room.switch(own[0], audio=is_on)

    async def _chat(self) -> None:
        assert self._room is not None
        text = self._group.new_message(self)
        self.record.messages_sent += 1
        await self._room.send(text)

    async def _lose(self, share: float) -> None:
        assert self._network is not None
        self._network.lose(share)

    async def _recover(self) -> None:
        assert self._network is not None
        self._network.recover()
        self._settle()

    async def _disconnect(self) -> None:
        assert self._network is not None
        self._settle()
        self._network.disconnect()

    def _settle(self) -> None:
        self.changed_at = time.monotonic()
        self._group.changed(self)

    async def _follow(self, room: Room) -> None:
        """Act on the room's events until the call ends."""
        async for event in room.events():
            self._take(room, event)

    def _take(self, room: Room, event: Event) -> None:
        match event:
            case Published(participant, stream) if not participant.is_self:
                self._watch(participant, stream.key)
            case Unpublished(participant, stream):
                self._end_watch(participant.id, stream.key)
            case Left(participant):
                for key in (SELF, SCREEN):
                    self._end_watch(participant.id, key)
            case Message(_, text):
                self.record.messages_received += self._group.received(self, text)
            case Lost():
                for participant_id, key in list(self._watches):
                    self._end_watch(participant_id, key)
                self._settle()
            case Rejoined():
                self.record.rejoins += 1
                self.record.sound.begin()
                self._settle()
            case Ended(reason, code, detail) if self._room is room:
                self.record.failures.append(f"was put out of the room: {detail or reason} ({code})")

    def _watch(self, participant: Participant, key: str) -> None:
        if (participant.id, key) not in self._watches:
            self._watches[participant.id, key] = asyncio.create_task(self._see(participant, key))

    def _end_watch(self, participant_id: str, key: str) -> None:
        if (task := self._watches.pop((participant_id, key), None)) is not None:
            task.cancel()

    async def _see(self, participant: Participant, key: str) -> None:
        """Receive and record the pictures of one stream until it ends. Only the first key frame is decoded."""
        seen = Seen(participant.name if key == SELF else f"{participant.name} (screen)", time.monotonic())
        decoder: VideoDecoder | None = VideoDecoder()
        try:
            async for frame in participant.encoded("video", key):
                note = read_note(frame, self._group.run)
                if note is None:
                    continue  # of a person, or of another simulator
                if not seen.frames:
                    self.record.seen.append(seen)
                if decoder is not None and frame.keyframe:
                    decoder = None if _shows(decoder, frame) else decoder
                if self.has_bad_network or self._group.has_bad_network(note.sender):
                    seen.skip(note.number)
                else:
                    seen.take(note.number, note.sent, time.monotonic(), whole=frame.keyframe)
        finally:
            seen.close(time.monotonic())
            if not seen.frames and self._group.is_ours(participant.name):
                self.record.seen.append(seen)

    async def _listen(self, room: Room) -> None:
        """Receive and record the mix, and check it for the tones of the members that speak."""
        next_look = 0.0
        async for frame in room.audio():
            now = time.monotonic()
            assert self._network is not None
            self._network.reach()
            if self.has_bad_network or now - self.changed_at < SETTLED_SECS:
                self.record.sound.begin()
                continue
            self.record.sound.take(frame.time, now)
            if now >= next_look:
                next_look = now + LOOK_SECS
                for other in self._group.speakers(self, now - SETTLED_SECS):
                    self.record.sound.look(other.record.name, is_there=tones.is_there(frame, other.number))


def _shows(decoder: VideoDecoder, frame: EncodedFrame) -> bool:
    """Whether a picture can be decoded."""
    with contextlib.suppress(ValueError):
        return bool(decoder.decode(frame))
    return False
