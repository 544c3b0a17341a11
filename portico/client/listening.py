"""Delivers received media to readers: streams, to which the client is subscribed while they are read, and the mix.

All readers of a stream share one subscription. The first reader starts it, and it ends with the last.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from portico.client.coding import OpusDecoder, VideoDecoder
from portico.client.connection import Connection, Subscription
from portico.client.errors import ClientError
from portico.client.frames import AudioFrame, EncodedFrame, VideoFrame
from portico.client.participant import Participant, Stream
from portico.client.receiving import Continued

RETRY_SECS = 1.0
"""The pause between tries to subscribe to a stream that goes on."""


class _Shared:
    """The subscription to one stream on one connection, shared by its readers."""

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self.connection = connection
        self.stream = stream
        self.readers: Counter[str] = Counter()  # by kind
        self.subscription: Subscription | None = None
        self.layer: int | None = None
        self._state: tuple[set[str], int | None] = set(), None
        self._lock = asyncio.Lock()

    async def sync(self) -> None:
        """Start, change or end the subscription, as its present readers need it. Raises ClientError."""
        async with self._lock:
            wanted = {kind for kind, count in self.readers.items() if count > 0}
            if not wanted:
                subscription, self.subscription = self.subscription, None
                if subscription is not None:
                    await self.connection.unsubscribe(subscription)
                return
            tracks = {kind: kind in wanted for kind in ("audio", "video")}
            if self.subscription is None:
                self.subscription = await self.connection.subscribe(self.stream, **tracks)
                self._state = wanted, None
            if self._state != (wanted, self.layer):
                layer = {} if self.layer is None else {"substream": self.layer}
                await self.connection.configure(self.subscription, **tracks, **layer)
                self._state = wanted, self.layer

    def end(self) -> None:
        """End the iterations of all readers: the stream has ended."""
        if self.subscription is not None:
            for received in self.subscription.received.values():
                received.close()


class Listening:
    """Delivers the media of one room, over its successive connections."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._connection: Connection | None = None
        self._shared: dict[int, _Shared] = {}  # by feed
        self._changed = asyncio.Event()
        self._is_over = False
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, connection: Connection) -> None:
        """Deliver the media of this connection from now on."""
        self._connection = connection
        self.changed()

    def detach(self) -> None:
        """Note that the connection is lost: readers wait for the next one."""
        connection, self._connection = self._connection, None
        for shared in self._shared.values():
            shared.end()
        self._shared.clear()
        if connection is not None and connection.mix is not None:
            connection.mix.close()

    async def next_change(self) -> None:
        """Wait until participants, streams or the connection have changed."""
        await self._changed.wait()

    def changed(self) -> None:
        """Note that participants or streams have changed."""
        for feed in [feed for feed, shared in self._shared.items() if not self._lives(shared)]:
            self._shared.pop(feed).end()
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """End all iterations: the call is over."""
        self._is_over = True
        self.detach()
        self.changed()

    async def stop(self) -> None:
        """End all iterations and the tasks that end their subscriptions."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def audio_of(self, participant: Participant, key: str) -> AsyncIterator[AudioFrame]:
        """See Participant.audio."""
        decoder = OpusDecoder()
        async for frame in self._frames(participant, key, "audio", None):
            for sound in decoder.decode(frame):
                yield sound

    async def video_of(self, participant: Participant, key: str, layer: int | None) -> AsyncIterator[VideoFrame]:
        """See Participant.video."""
        decoder, loop = VideoDecoder(), asyncio.get_running_loop()
        async for frame in self._frames(participant, key, "video", layer):
            for picture in await loop.run_in_executor(self._executor, decoder.decode, frame):
                yield picture

    async def encoded_of(self, participant: Participant, key: str, kind: str) -> AsyncIterator[EncodedFrame]:
        """See Participant.encoded."""
        async for frame in self._frames(participant, key, kind, None):
            yield frame

    async def mix(self) -> AsyncIterator[AudioFrame]:
        """See Room.audio."""
        decoder, clock = OpusDecoder(), Continued()
        while not self._is_over:
            connection = self._connection
            if connection is None:
                await self._changed.wait()
                continue
            try:
                await connection.open_mix(receives=True)
            except ClientError:
                await self._pause()
                continue
            if connection.mix is None:
                return  # the token does not allow listening
            queue = connection.mix.open()
            try:
                clock.begin()
                while (frame := await queue.get()) is not None:
                    for sound in decoder.decode(clock.moved(frame)):
                        yield sound
            finally:
                connection.mix.end(queue)

    async def _frames(
        self, participant: Participant, key: str, kind: str, layer: int | None
    ) -> AsyncIterator[EncodedFrame]:
        clock = Continued()
        while (stream := await self._stream(participant, key, kind)) is not None:
            assert self._connection is not None
            shared = self._shared.setdefault(stream.feed, _Shared(self._connection, stream))
            shared.readers[kind] += 1
            if layer is not None:
                shared.layer = layer
            try:
                await shared.sync()
                assert shared.subscription is not None
                received = shared.subscription.received[kind]
            except (ClientError, AssertionError, KeyError):
                self._release(shared, kind)
                await self._pause()
                continue
            queue = received.open()
            try:
                clock.begin()
                while (frame := await queue.get()) is not None:
                    yield clock.moved(frame)
            finally:
                received.end(queue)
                self._release(shared, kind)

    async def _stream(self, participant: Participant, key: str, kind: str) -> Stream | None:
        """Wait for the participant's stream with a track of this kind; None when the participant or the call ends."""
        while not self._is_over and not participant.has_left:
            stream = participant.streams.get(key)
            if self._connection is not None and stream is not None and stream.has(kind):
                return stream
            await self._changed.wait()
        return None

    def _lives(self, shared: _Shared) -> bool:
        found = self._connection.dialect.stream_of(shared.stream.feed) if self._connection is not None else None
        return found is not None and found[1] is shared.stream

    def _release(self, shared: _Shared, kind: str) -> None:
        """Note that a reader has ended. The subscription ends with the last reader."""
        shared.readers[kind] -= 1
        if not shared.readers.total() and self._shared.get(shared.stream.feed) is shared:
            del self._shared[shared.stream.feed]
        task = asyncio.get_running_loop().create_task(_sync_unless_lost(shared))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), RETRY_SECS)
        except TimeoutError:
            return


async def _sync_unless_lost(shared: _Shared) -> None:
    try:
        await shared.sync()
    except ClientError:
        return  # the connection has ended, and the subscription with it
