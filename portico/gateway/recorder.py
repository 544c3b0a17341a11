"""Has Janus record what one participant publishes, and keeps the rows about it up to date.

It works from what is wanted towards what is written, again and again: a database that fails for a while costs nothing
but time, and a browser that switches its camera wildly costs one write a second.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from portico.core import timeline
from portico.core.timeline import Intervals
from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.runtime.ids import new_id
from portico.services import recordings
from portico.signaling.effects import PublishedStream

log = structlog.get_logger()
PAUSE_SECS = 1.0
"""Between two rounds of writing, so that neither failures nor wild switching keep the database busy."""
KINDS = ("audio", "video")

Record = Callable[[int, str | None], Awaitable[None]]
"""Have Janus record what it receives on this handle into mjr files of this name, or (None) stop."""


@dataclass(slots=True)
class _Track:
    shown: Intervals = ()
    came: bool = False
    started: bool = False  # and the row says so
    written: Intervals = ()

    @property
    def starts(self) -> bool:
        """Whether it carries something and nobody was told yet."""
        return self.came and bool(self.shown) and not self.started


@dataclass(slots=True)
class _Take:
    """One stream, recorded under one mjr name from when it is on the air until it is not."""

    handle: int
    key: str
    mjr_name: str
    epoch_ms: float
    """Unix milliseconds minus those of the monotonic clock, from the one time that this take reads the wall clock.

    Janus dates a file when it begins it, so a wall clock that is set during the take must not move the timeline."""
    begun: bool = False
    over: bool = False
    tracks: dict[str, _Track] = field(default_factory=lambda: {kind: _Track() for kind in KINDS})


class Recorder:
    """For one participant in a session that is recorded. `node_id` begins every mjr name (janus/mjr_folder.py)."""

    def __init__(
        self,
        db: Database,
        participant_id: str,
        record: Record,
        clock: Callable[[], datetime],
        *,
        node_id: str,
        room_on_disk: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._participant_id = participant_id
        self._record = record
        self._clock = clock
        self._monotonic = monotonic
        self._node_id = node_id
        self._room_on_disk = room_on_disk
        self._streams: dict[int, PublishedStream] = {}
        self._takes: dict[int, _Take] = {}
        self._over: list[_Take] = []
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._log = log.bind(participant_id=participant_id)

    def published(self, stream: PublishedStream) -> None:
        """A stream is on the air, or something about it changed."""
        self._streams[stream.handle] = stream
        if not self._room_on_disk:
            return
        take = self._takes.get(stream.handle)
        if take is None:
            epoch_ms = self._clock().timestamp() * 1000 - self._monotonic() * 1000
            take = _Take(stream.handle, stream.key, f"{self._node_id}_{new_id()}", epoch_ms)
            self._takes[stream.handle] = take
            self._urgent.set()
        now_ms = self._now_ms(take)
        for kind, track in take.tracks.items():
            track.shown = timeline.switched(track.shown, kind in stream.enabled, now_ms)
            track.came = track.came or kind in stream.with_media
            if track.starts:
                self._urgent.set()
        self._changed.set()

    def unpublished(self, handle: int) -> None:
        """A stream has ended."""
        self._streams.pop(handle, None)
        self._end(handle)

    def leave(self) -> None:
        """Close the timelines of what is on the air: its participant leaves. The rows of the leave end the rest."""
        for take in self._takes.values():
            self._close(take)

    def set_room_on_disk(self, enough: bool) -> None:
        """Without room everything that is recorded ends; with it, what is on the air is recorded again."""
        if enough is self._room_on_disk:
            return
        self._room_on_disk = enough
        if enough:
            for stream in self._streams.values():
                self.published(stream)
        else:
            for handle in list(self._takes):
                self._end(handle)

    async def run(self) -> None:
        """Write what changes, for as long as the participant is there."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._urgent.clear()
            written = False
            with faults_logged(
                "recording not written", participant_id=self._participant_id, tried_again_in_secs=PAUSE_SECS
            ):
                await self.write()
                written = True
            if not written:
                self._changed.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_SECS):
                    await self._urgent.wait()

    async def write(self) -> None:
        """Bring the rows, and Janus, to where we are."""
        while self._over:
            await self._finish(self._over[0])
            self._over.pop(0)
        for take in list(self._takes.values()):
            await self._begin(take)
            for kind, track in take.tracks.items():
                await self._write_track(take, kind, track)

    def _end(self, handle: int) -> None:
        take = self._takes.pop(handle, None)
        if take is None:
            return
        self._close(take)
        take.over = True
        self._over.append(take)
        self._changed.set()
        self._urgent.set()

    def _close(self, take: _Take) -> None:
        now_ms = self._now_ms(take)
        for track in take.tracks.values():
            track.shown = timeline.switched(track.shown, False, now_ms)

    async def _begin(self, take: _Take) -> None:
        """The row comes first: an mjr file that nothing speaks of is swept away."""
        if take.begun:
            return
        begin = partial(recordings.begin, stream_key=take.key, mjr_name=take.mjr_name, now=self._clock())
        if await self._db.write(partial(begin, participant_id=self._participant_id)):
            take.begun = True
            if not take.over:
                await self._record(take.handle, take.mjr_name)

    async def _write_track(self, take: _Take, kind: str, track: _Track) -> None:
        starts, shown = track.starts, track.shown
        if not starts and (not track.started or track.written == shown):
            return
        write = recordings.first_media if starts else recordings.show
        now = self._clock()
        await self._db.write(partial(write, mjr_name=take.mjr_name, type=kind, shown=timeline.plain(shown), now=now))
        track.started, track.written = True, shown

    async def _finish(self, take: _Take) -> None:
        if not take.begun:
            return  # nothing was recorded
        if take.handle in self._streams:  # still on the air: it is the disk that has no room
            await self._record(take.handle, None)
        for kind, track in take.tracks.items():
            await self._write_track(take, kind, track)
        await self._db.write(partial(recordings.end, mjr_name=take.mjr_name, now=self._clock()))

    def _now_ms(self, take: _Take) -> int:
        return round(take.epoch_ms + self._monotonic() * 1000)
