"""One connection to a room, from its join to its end: the socket, the rosters, and the media connections.

It does what the browser SDK does (docs/signaling.md). A Room has one at a time, and another one after it was lost.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portico.client.dialect import (
    AUDIOBRIDGE,
    MIXER_KEY,
    VIDEOROOM,
    Dialect,
    listener_display,
    participant_display,
    stream_display,
)
from portico.client.errors import ClientError, RequestRefused
from portico.client.events import Event
from portico.client.participant import Participant, Stream
from portico.client.peer import OutgoingTrack, Peer
from portico.client.publishing import Publication
from portico.client.receiving import Received
from portico.client.signaling import Signaling
from portico.client.text_channel import TextChannel


@dataclass
class _Published:
    handle: int
    feed: int
    peer: Peer
    tracks: dict[str, OutgoingTrack] = field(default_factory=dict)


@dataclass
class Subscription:
    """The media of one stream."""

    handle: int
    peer: Peer
    received: dict[str, Received]


class Connection:
    """One stay in the room. `close` ends everything that it opened."""

    def __init__(
        self, url: str, room_id: str, token: str, me: Participant, dialect: Dialect, emit: Callable[[Event], None]
    ) -> None:
        self.me = me
        self.dialect = dialect
        self.signaling = Signaling(token, self._receive)
        self.text: TextChannel | None = None
        self._url = url
        self._room_id = room_id
        self._emit = emit
        self._mixer: tuple[int, Peer, OutgoingTrack] | None = None
        self._mixer_handle = 0
        self._mixer_lock = asyncio.Lock()
        self.mix: Received | None = None
        self._published: dict[str, _Published] = {}
        self._peers: set[Peer] = set()

    async def join(self, *, messages: bool, on_text: Callable[[str], None]) -> None:
        """Enter the room. What was there before is emitted as events."""
        me, ask = self.me, self.signaling.ask
        await self.signaling.open(self._url)
        if messages:
            self.text = TextChannel(self.signaling, self._room_id, me.id, on_text)
            self._peers.add(await self.text.open())
        register = await self.signaling.attach(AUDIOBRIDGE)
        display = participant_display(me.id, me.context, receives_messages=messages)
        body = {"request": "join", "room": self._room_id, "display": display, "muted": True}
        self.dialect.expect_roster(register)
        self._take(self.dialect.roster(register, (await ask(register, body))[0]))
        listener = await self.signaling.attach(VIDEOROOM)
        shown = listener_display(me.id)
        body = {"request": "join", "room": self._room_id, "ptype": "publisher", "display": shown}
        self.dialect.expect_roster(listener)
        self._take(self.dialect.roster(listener, (await ask(listener, body))[0]))
        self._mixer_handle = await self.signaling.attach(AUDIOBRIDGE)
        display = stream_display(me.id, me.id, MIXER_KEY, audio=False, video=False)
        await ask(self._mixer_handle, {"request": "join", "muted": False, "display": display})

    async def open_mix(self) -> OutgoingTrack:
        """The track into the mix; `mix` is what comes out of it. The first call connects it."""
        async with self._mixer_lock:
            if self._mixer is None:
                peer = self._peer()
                peer.add(track := OutgoingTrack("audio"))
                display = stream_display(self.me.id, self.me.id, MIXER_KEY, audio=True, video=False)
                body = {"request": "configure", "muted": False, "display": display}
                _, answer = await self.signaling.ask(self._mixer_handle, body, await peer.offer())
                self.mix = (await peer.accept(answer)).get("audio")
                await peer.connected()
                self._mixer = self._mixer_handle, peer, track
            return self._mixer[2]

    async def publish(self, publication: Publication) -> None:
        """Publish a stream, and send its sound into the mix."""
        handle = await self.signaling.attach(VIDEOROOM)
        display = self._display(publication)
        body: dict[str, Any] = {"request": "join", "room": self._room_id, "ptype": "publisher", "display": display}
        feed = (await self.signaling.ask(handle, body))[0]["id"]
        published = self._published[publication.key] = _Published(handle, feed, self._peer())
        for kind, pump in (("audio", publication.audio), ("video", publication.video)):
            if pump is not None:
                track = published.tracks[kind] = OutgoingTrack(kind)
                published.peer.add(track, on_keyframe_request=publication.request_keyframe)
        body = {"request": "configure", "audio": publication.audio is not None, "video": publication.video is not None}
        body |= {"display": display, "bitrate": publication.bitrate}
        _, answer = await self.signaling.ask(handle, body, await published.peer.offer())
        await published.peer.accept(answer)
        await published.peer.connected()
        self._own_stream(publication, feed)
        if publication.audio is not None:
            published.tracks["mix"] = await self.open_mix()
            publication.audio.outputs |= {published.tracks["audio"], published.tracks["mix"]}
        if publication.video is not None:
            publication.video.outputs.add(published.tracks["video"])

    async def update(self, publication: Publication) -> None:
        """Announce which tracks of a stream are on."""
        published = self._published.get(publication.key)
        if published is not None:
            body = {"request": "configure", "display": self._display(publication)}
            await self.signaling.ask(published.handle, body)

    async def unpublish(self, publication: Publication) -> None:
        """End a stream."""
        published = self._published.pop(publication.key, None)
        if published is None:
            return
        self._disconnect(publication, published)
        self.dialect.own_stream_ended(published.feed)
        await self._end(published.handle, published.peer)

    async def subscribe(self, stream: Stream, *, audio: bool, video: bool) -> Subscription:
        """Receive a stream."""
        handle = await self.signaling.attach(VIDEOROOM)
        body = {"request": "join", "room": self._room_id, "ptype": "subscriber", "feed": stream.feed}
        _, offer = await self.signaling.ask(handle, {**body, "audio": audio, "video": video})
        peer = self._peer()
        try:
            answer, received = await peer.answer(offer)
            await self._start(handle, answer)
            await peer.connected()
        except BaseException:
            await self._end(handle, peer)
            raise
        return Subscription(handle, peer, received)

    async def _start(self, handle: int, answer: dict[str, Any]) -> None:
        content, _ = await self.signaling.ask(handle, {"request": "start", "room": self._room_id}, answer)
        if content.get("started") != "ok":
            raise RequestRefused("The stream has gone.")

    async def configure(self, subscription: Subscription, **members: Any) -> None:
        """Change what a subscription receives."""
        await self.signaling.ask(subscription.handle, {"request": "configure", **members})

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        await self._end(subscription.handle, subscription.peer)

    async def close(self, publications: list[Publication]) -> None:
        """Leave the room, and close every socket."""
        for publication in publications:
            if (published := self._published.get(publication.key)) is not None:
                self._disconnect(publication, published)
        await self.signaling.close()
        await asyncio.gather(*(peer.close() for peer in self._peers), return_exceptions=True)
        self._peers.clear()
        if self.mix is not None:
            self.mix.close()

    def _peer(self) -> Peer:
        peer = Peer(self.signaling.ice_servers)
        self._peers.add(peer)
        return peer

    async def _end(self, handle: int, peer: Peer) -> None:
        self._peers.discard(peer)
        await peer.close()
        with contextlib.suppress(ClientError):
            await self.signaling.detach(handle)

    def _display(self, publication: Publication) -> str:
        audio = publication.audio is not None and publication.audio.is_on
        video = publication.video is not None and publication.video.is_on
        return stream_display(self.me.id, publication.id, publication.key, audio=audio, video=video)

    def _own_stream(self, publication: Publication, feed: int) -> None:
        stream = Stream(publication.id, publication.key, feed)
        stream.has_audio, stream.has_video = publication.audio is not None, publication.video is not None
        self.dialect.own_stream(feed, stream)

    @staticmethod
    def _disconnect(publication: Publication, published: _Published) -> None:
        for pump in (publication.audio, publication.video):
            if pump is not None:
                pump.outputs -= set(published.tracks.values())

    def _receive(self, message: dict[str, Any]) -> None:
        self._take(self.dialect.receive(message))
        self.signaling.was_kicked = self.dialect.was_kicked

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self._emit(event)
