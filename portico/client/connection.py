"""One connection to a room, from its join to its end: the socket, the rosters, and the media connections.

It sends what the browser SDK sends (docs/signaling.md). A Room has one connection at a time; it makes another after a
loss.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from portico.client.dialect import (
    AUDIOBRIDGE,
    MIXER_KEY,
    TEXTROOM,
    VIDEOROOM,
    Dialect,
    listener_display,
    participant_display,
    stream_display,
)
from portico.client.errors import ClientError, MediaFailed, RequestRefused
from portico.client.events import Event
from portico.client.outgoing import OutgoingTrack, fill
from portico.client.participant import Stream
from portico.client.peer import CONNECT_SECS, TRY_SECS, Peer
from portico.client.publishing import Publication
from portico.client.receiving import Received
from portico.client.relays import Relays
from portico.client.signaling import Signaling
from portico.client.text_channel import TextChannel


@dataclass
class _Published:
    handle: int
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
        self, url: str, room_id: str, token: str, dialect: Dialect, relays: Relays, emit: Callable[[Event], None]
    ) -> None:
        self.me = dialect.me
        self.dialect = dialect
        self.signaling = Signaling(token, self._receive)
        self.text: TextChannel | None = None
        self.mix: Received | None = None
        self._url = url
        self._room_id = room_id
        self.emit = emit
        self._mixer_handle = 0
        self._mixer: tuple[Peer, OutgoingTrack] | None = None
        self._mixer_lock = asyncio.Lock()
        self._published: dict[str, _Published] = {}
        self._peers: dict[Peer, int] = {}
        self._tracks: set[OutgoingTrack] = set()
        self._relays = relays
        self._epoch = asyncio.get_running_loop().time()
        self._tasks = {asyncio.create_task(fill(self._tracks))}

    async def join(self, *, messages: bool, on_text: Callable[[str], None]) -> None:
        """Enter the room; emit Joined and Published for the participants and streams that are in it."""
        me, ask = self.me, self.signaling.ask
        await self.signaling.open(self._url)
        if messages:
            handle = await self.signaling.attach(TEXTROOM)
            self.text = TextChannel(self.signaling, self._room_id, me.id, on_text)
            await self.text.open(handle, self._peer(handle))
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
        await self._join_mix()

    async def open_mix(self, *, receives: bool) -> OutgoingTrack:
        """Connect to the mix; returns the track sent into it. With `receives`, `mix` gets its 50 packets a second."""
        async with self._mixer_lock:
            if self._mixer is None:
                if not self._mixer_handle:
                    await self._join_mix()
                peer, track = self._peer(self._mixer_handle), self._track("audio")
                try:
                    peer.add(track, receives=receives)
                    await self._negotiate_mix(peer)
                    await peer.connected()
                except BaseException as error:
                    self._mixer_handle, self.mix = 0, None
                    self._tracks.discard(track)
                    await self._give_up(peer, error)
                    raise
                self._mixer = peer, track
            elif receives and self.mix is None:
                self._mixer[0].receive_too()
                await self._negotiate_mix(self._mixer[0])
            return self._mixer[1]

    async def publish(self, publication: Publication) -> None:
        """Publish a stream, and send its audio into the mix."""
        handle = await self.signaling.attach(VIDEOROOM)
        display = self._display(publication)
        body: dict[str, Any] = {"request": "join", "room": self._room_id, "ptype": "publisher", "display": display}
        await self.signaling.ask(handle, body)
        peer = self._peer(handle)
        published = self._published[publication.key] = _Published(handle, peer)
        senders = {}
        for kind in publication.kinds:
            track = published.tracks[kind] = self._track(kind)
            senders[kind] = peer.add(track, codec=publication.codec if kind == "video" else "")
        body = {"request": "configure", "display": display, "bitrate": publication.bitrate}
        body |= {kind: kind in publication.kinds for kind in ("audio", "video")}
        _, answer = await self.signaling.ask(handle, body, await peer.offer())
        await peer.take(answer)
        await peer.connected()
        for kind, sender in senders.items():
            publication.attach(kind, published.tracks[kind], sender)
        if "audio" in senders:
            track = published.tracks["mix"] = await self.open_mix(receives=False)
            publication.attach("audio", track, None)

    async def update(self, publication: Publication) -> None:
        """Announce which tracks of a published stream are switched on."""
        published = self._published.get(publication.key)
        if published is not None:
            body = {"request": "configure", "display": self._display(publication)}
            await self.signaling.ask(published.handle, body)

    async def unpublish(self, publication: Publication) -> None:
        """End a stream."""
        published = self._published.pop(publication.key, None)
        if published is None:
            return
        publication.detach(published.tracks.values())
        self._tracks -= {track for kind, track in published.tracks.items() if kind != "mix"}
        await self._end(published.peer)

    async def subscribe(self, stream: Stream, *, audio: bool, video: bool) -> Subscription:
        """Subscribe to these tracks of a stream; returns when media arrive. Raises RequestRefused and MediaFailed."""
        handle = await self.signaling.attach(VIDEOROOM)
        body = {"request": "join", "room": self._room_id, "ptype": "subscriber", "feed": stream.feed}
        _, offer = await self.signaling.ask(handle, {**body, "audio": audio, "video": video})
        peer = self._peer(handle)
        try:
            received = await peer.take(offer)
            await self._start(handle, await peer.make_answer())
            await peer.connected()
        except BaseException as error:
            await self._give_up(peer, error)
            raise
        return Subscription(handle, peer, received)

    async def configure(self, subscription: Subscription, **members: Any) -> None:
        """Change a subscription: `audio` and `video` switch its tracks, `substream` chooses the simulcast layer."""
        await self.signaling.ask(subscription.handle, {"request": "configure", **members})

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        await self._end(subscription.peer)

    async def close(self, publications: Iterable[Publication] = ()) -> None:
        """Leave the room, and close every socket."""
        for publication in publications:
            publication.detach(self._tracks)
        for task in self._tasks:
            task.cancel()
        await self.signaling.close()
        await asyncio.gather(*(peer.close() for peer in self._peers), *self._tasks, return_exceptions=True)
        self._peers.clear()
        if self.mix is not None:
            self.mix.close()

    async def _start(self, handle: int, answer: dict[str, Any]) -> None:
        content, _ = await self.signaling.ask(handle, {"request": "start", "room": self._room_id}, answer)
        if content.get("started") != "ok":
            raise RequestRefused("The stream has gone.")

    async def _join_mix(self) -> None:
        """Join the AudioBridge as the member whose sound is in the mix, without media yet."""
        handle = await self.signaling.attach(AUDIOBRIDGE)
        display = stream_display(self.me.id, self.me.id, MIXER_KEY, audio=False, video=False)
        await self.signaling.ask(handle, {"request": "join", "muted": False, "display": display})
        self._mixer_handle = handle

    async def _negotiate_mix(self, peer: Peer) -> None:
        display = stream_display(self.me.id, self.me.id, MIXER_KEY, audio=True, video=False)
        body = {"request": "configure", "muted": False, "display": display}
        _, answer = await self.signaling.ask(self._mixer_handle, body, await peer.offer())
        self.mix = (await peer.take(answer)).get("audio") or self.mix

    def _peer(self, handle: int) -> Peer:
        servers = self._relays.choose(self.signaling.ice_servers)
        relays, within = self._relays, CONNECT_SECS if self._relays.is_last else TRY_SECS
        only = relays.only is not None
        peer = Peer(servers, relay_only=only, way=relays.way, within=within, on_broken=self._report_lost)
        self._peers[peer] = handle
        return peer

    def _track(self, kind: str) -> OutgoingTrack:
        track = OutgoingTrack(kind, self._epoch)
        self._tracks.add(track)
        return track

    def _report_lost(self, peer: Peer) -> None:
        """Report a lost media connection; the server then closes the socket with a code at which the client rejoins."""
        task = asyncio.get_running_loop().create_task(self._send_lost(self._peers.get(peer, 0)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_lost(self, handle: int) -> None:
        with contextlib.suppress(ClientError):
            await self.signaling.request("path_lost", handle_id=handle)

    async def _give_up(self, peer: Peer, error: BaseException) -> None:
        """End a media connection that did not come about; the next one takes the next way to the relay."""
        if isinstance(error, MediaFailed):
            self._relays.next(error.way)
        await self._end(peer)

    async def _end(self, peer: Peer) -> None:
        handle = self._peers.pop(peer, None)
        await peer.close()
        if handle is not None:
            with contextlib.suppress(ClientError):
                await self.signaling.detach(handle)

    def _display(self, publication: Publication) -> str:
        audio = publication.audio is not None and publication.audio.is_on
        video = publication.video is not None and publication.video.is_on
        return stream_display(self.me.id, publication.id, publication.key, audio=audio, video=video)

    def _receive(self, message: dict[str, Any]) -> None:
        self._take(self.dialect.receive(message))
        self.signaling.was_kicked = self.dialect.was_kicked

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self.emit(event)
