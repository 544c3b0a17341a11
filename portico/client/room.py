"""A participant of a room: joins, publishes, and receives events and media of the others."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from portico.client.connection import Connection
from portico.client.dialect import ChatDialect, Dialect
from portico.client.endings import Ending, RejoinPlan, join_error
from portico.client.errors import ClientError, JoinError, MediaFailed, RequestRefused, RoomEnded
from portico.client.event_feed import EventFeed
from portico.client.events import Ended, Event, Lost, Message, Rejoined
from portico.client.frames import AudioFrame, EncodedFrame, VideoFrame
from portico.client.listening import Listening
from portico.client.participant import SCREEN, SELF, Participant
from portico.client.publishing import Publication
from portico.client.relays import Relays
from portico.client.sources import AudioSource, VideoSource

JOIN_SECS = 30.0
"""How long a join may take."""
VIDEO_BITRATE = 800_000

AudioInput = AudioSource | AsyncIterator[AudioFrame | EncodedFrame]
VideoInput = VideoSource | AsyncIterator[VideoFrame | EncodedFrame]


class Room:
    """A participant in a room: `async with Room.join(base_url, room_id, token) as room`. Leaving the block leaves."""

    def __init__(
        self,
        url: str,
        room_id: str,
        token: str,
        context: dict[str, Any] | str | None,
        *,
        messages: bool,
        rejoin: bool,
        relay: str | None,
    ) -> None:
        """Use Room.join."""
        self.room_id = room_id
        self._url = url
        self._token = token
        self._context = context if isinstance(context, str | None) else json.dumps(context)
        self._messages = messages
        self._rejoins = rejoin
        self._relays = Relays(relay)
        self._feed = EventFeed()
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="portico-client")
        self._publications: dict[str, Publication] = {}
        self._connection: Connection | None = None
        self._dialect = Dialect(Participant("", self._context, is_self=True))
        self._listening = Listening(self._executor)
        self._supervisor: asyncio.Task[None] | None = None
        self._ended: Ended | None = None
        self._leaves = False

    @classmethod
    def join(
        cls,
        base_url: str,
        room_id: str,
        token: str,
        *,
        context: dict[str, Any] | str | None = None,
        messages: bool = True,
        rejoin: bool = True,
        relay: str | None = None,
    ) -> Self:
        """Make the Room that `async with` enters and leaves. Entering raises JoinError.

        `base_url` is the server's, such as http://HOST:PORT, with a path if it has one. `context` is what the others
        see about this participant: an object (with `name` or `username`), or a text. Without `messages` there is no
        chat, and one connection less. With `rejoin` a lost connection is replaced, as the server's close code says.
        `relay` is "udp", "tcp" or "tls" for media that take this way to the server's relay and no other.
        """
        scheme, _, rest = base_url.rstrip("/").partition("://")
        url = f"{'wss' if scheme in ('https', 'wss') else 'ws'}://{rest}/{room_id}/janus"
        return cls(url, room_id, token, context, messages=messages, rejoin=rejoin, relay=relay)

    async def __aenter__(self) -> Self:
        try:
            events = await self._connect()
        except BaseException:
            await _to_the_end(self._close())
            raise
        self._begin(events)
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    @property
    def me(self) -> Participant:
        """This client's own participant; after a rejoin another one."""
        return self._dialect.me

    @property
    def participants(self) -> list[Participant]:
        """The other participants who are in the room now."""
        return list(self._dialect.participants.values())

    @property
    def ended(self) -> Ended | None:
        """How the call ended; None while it goes on."""
        return self._ended

    def events(self) -> AsyncIterator[Event]:
        """The events until `Ended`. The first call gives all since the join; later ones begin with who is present."""
        return self._feed.events(self._dialect)

    async def publish(
        self,
        audio: AudioInput | None = None,
        video: VideoInput | None = None,
        *,
        stream: str = SELF,
        bitrate: int = VIDEO_BITRATE,
    ) -> Publication:
        """Publish a stream: all others can receive it from now on. Raises RequestRefused, MediaFailed, RoomEnded.

        `bitrate` is the most that video uses, in bits per second. Audio goes into the mix, too.
        """
        if stream in self._publications:
            raise RequestRefused(f"the stream {stream!r} is published already")
        sound = audio.audio_frames() if isinstance(audio, AudioSource) else audio
        pictures = video.video_frames() if isinstance(video, VideoSource) else video
        codec = getattr(video, "codec", "")
        publication = Publication(stream, str(uuid4()), sound, pictures, self._executor, bitrate, codec)
        connection = await self._present()
        self._publications[stream] = publication
        try:
            await self._publish(connection, publication)
        except BaseException:
            del self._publications[stream]
            await _to_the_end(connection.unpublish(publication))
            raise
        publication.start()
        return publication

    async def share_screen(self, video: VideoInput, audio: AudioInput | None = None) -> Publication:
        """Publish a second stream as a shared screen."""
        return await self.publish(audio, video, stream=SCREEN)

    async def unpublish(self, publication: Publication) -> None:
        """End a stream of this client."""
        if self._publications.get(publication.key) is publication:
            del self._publications[publication.key]
            if self._connection is not None:
                await self._connection.unpublish(publication)
        await publication.end()

    async def switch(self, publication: Publication, *, audio: bool | None = None, video: bool | None = None) -> None:
        """Switch the audio or the video of a stream on or off; the other participants receive Updated."""
        for pump, is_on in ((publication.audio, audio), (publication.video, video)):
            if pump is not None and is_on is not None:
                pump.is_on = is_on
        await (await self._present()).update(publication)

    def audio(self) -> AsyncIterator[AudioFrame]:
        """The mix of all other participants, 20 ms at a time, until the call ends."""
        return self._listening.mix()

    async def send(self, text: str, to: list[Participant] | None = None) -> None:
        """Send a chat message to all participants, or to some. Raises RequestRefused, RoomEnded."""
        await self.send_content({"type": "text", "payload": text}, to)

    async def send_content(self, content: dict[str, Any], to: list[Participant] | None = None) -> None:
        """Send a chat message as an object with `type` and `payload`, to all participants or to some."""
        if (channel := (await self._present()).text) is None:
            raise RequestRefused("this client joined without messages")
        await channel.send(content, [one.id for one in to or ()])

    async def use_token(self, token: str) -> None:
        """Use another token of the room, as an application does before the old one expires."""
        self._token = token
        await (await self._present()).signaling.use_token(token)

    async def leave(self) -> None:
        """Leave the room. Nothing of this client is left behind, also when the leave itself is cancelled."""
        self._leaves = True
        await _to_the_end(self._close())

    async def _publish(self, connection: Connection, publication: Publication) -> None:
        """Publish over the present way to the relay, or over the next ones while media do not get through."""
        while True:
            try:
                return await connection.publish(publication)
            except MediaFailed as error:
                await connection.unpublish(publication)
                if not self._relays.next(error.way):
                    raise

    async def _present(self) -> Connection:
        """The present connection; wait for the next one while it is lost. Raises RoomEnded."""
        while self._connection is None and self._ended is None:
            await self._listening.next_change()
        if self._connection is None or self._ended is not None:
            ended = self._ended or Ended("lost", 0)
            raise RoomEnded(ended.detail or f"the call is over: {ended.reason}", ended.code)
        return self._connection

    async def _connect(self) -> list[Event]:
        """Join. Returns the events about what changed since the last connection; raises JoinError."""
        events: list[Event] = []
        make = partial(Participant, _media=self._listening)
        dialect = Dialect(make(str(uuid4()), self._context, is_self=True), make, self._dialect.participants)
        connection = Connection(self._url, self.room_id, self._token, dialect, self._relays, events.append)
        try:
            async with asyncio.timeout(JOIN_SECS):
                await connection.join(messages=self._messages, on_text=self._receive_text)
        except BaseException as error:
            ended = connection.signaling.ended
            ending = ended.result() if ended.done() else None
            await _to_the_end(connection.close())
            if isinstance(error, MediaFailed) and self._relays.next(error.way):
                return await self._connect()
            known = _join_error(error, ending)
            if known is error:
                raise
            raise known from error
        self._connection, self._dialect = connection, dialect
        connection.emit = self._emit
        return events

    def _begin(self, events: list[Event]) -> None:
        assert self._connection is not None
        self._listening.attach(self._connection)
        for event in events:
            self._emit(event)

    async def _supervise(self) -> None:
        """Wait for the end of each connection, and rejoin while the endings allow it."""
        loop = asyncio.get_running_loop()
        while True:
            assert self._connection is not None
            ending = await asyncio.shield(self._connection.signaling.ended)
            await self._drop_connection()
            if self._leaves or not self._rejoins or not ending.is_temporary:
                return self._end(ending)
            self._emit(Lost(ending.reason, ending.code))
            plan: RejoinPlan | None = RejoinPlan(ending, loop.time())
            while plan is not None:
                await asyncio.sleep(plan.pause(random.random()))
                try:
                    await self._rejoin()
                    break
                except JoinError as error:
                    ending = Ending(error.kind, error.code, error.reason)
                    plan = plan.failed(ending, loop.time())
            else:
                return self._end(ending)

    async def _rejoin(self) -> None:
        events = await self._connect()
        assert self._connection is not None
        self._begin([Rejoined(self.me), *events])
        for publication in list(self._publications.values()):
            # The former participant owns the former id until the server notices that it is gone.
            publication.id = str(uuid4())
            with contextlib.suppress(ClientError):
                await self._publish(self._connection, publication)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._listening.detach()
        if connection is not None:
            await connection.close(self._publications.values())

    def _end(self, ending: Ending) -> None:
        if self._ended is None:
            self._ended = Ended(ending.reason, ending.code, ending.detail)
            self._emit(self._ended)
        self._feed.close()
        self._listening.close()

    async def _close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await asyncio.gather(*(one.end() for one in self._publications.values()), return_exceptions=True)
        await self._listening.stop()
        await self._drop_connection()
        self._end(Ending("left"))
        self._executor.shutdown()

    def _emit(self, event: Event) -> None:
        self._feed.put(event)
        self._listening.changed()

    def _receive_text(self, text: str) -> None:
        read = ChatDialect.read(text)
        if read is None:
            return
        sender_id, content, to = read
        sender = self.me if sender_id == self.me.id else self._dialect.participants.get(sender_id)
        payload = content.get("payload")
        if sender is not None:
            shown = payload if isinstance(payload, str) else json.dumps(payload)
            self._emit(Message(sender, shown, content, to))


def _join_error(error: BaseException, ending: Ending | None) -> BaseException:
    """The error of a join that failed by this error; `ending` is how its socket ended, None while it is open."""
    match error:
        case JoinError():
            return error
        case TimeoutError():
            return join_error(Ending("unreachable", detail=f"no answer within {JOIN_SECS:.0f} s"))
        case ClientError():
            return join_error(ending or Ending("unavailable", detail=str(error)))
    return error


async def _to_the_end(work: Any) -> None:
    """Await some work to its end even if the caller is cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 (the result below raises it)
            break
    if cancelled is not None:
        raise cancelled
    task.result()
