"""Has Janus record what one participant publishes, and keeps the rows of these recordings up to date.

The wanted state is kept in memory and written in rounds: while the database fails, the round is tried again, and a
browser that switches its camera many times a second costs one write a second.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from portico.core import timeline
from portico.core.timeline import Intervals
from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.runtime.ids import new_id
from portico.runtime.periodic import Periodic
from portico.services import recordings
from portico.signaling.effects import PublishedStream

PAUSE_SECS = 1.0
"""Pause between two rounds of writing, so that neither failures nor a switching camera keep the database busy."""
KINDS = ("audio", "video")

Record = Callable[[int, str | None], Awaitable[None]]
"""Has Janus record this handle into mjr files of this name, or stop recording it (None)."""


@dataclass(slots=True)
class _Track:
    shown: Intervals = ()  # when the browser had the track enabled
    has_media: bool = False  # whether it has carried any
    started: bool = False  # whether its row is written as started
    written: Intervals = ()  # `shown` as the row has it

    @property
    def starts(self) -> bool:
        """Whether the track carries media and its row is not written as started yet."""
        return self.has_media and bool(self.shown) and not self.started


@dataclass(slots=True)
class _Publication:
    """One publication of a stream, recorded into files of one name."""

    handle: int
    key: str
    mjr_name: str
    epoch_ms: float
    """Unix time minus monotonic time, in milliseconds, when the publication began.

    Janus dates a file once, when it begins it. So the timeline must not move when the wall clock is set later."""
    begun: bool = False
    over: bool = False
    tracks: dict[str, _Track] = field(default_factory=lambda: {kind: _Track() for kind in KINDS})


class Recorder:
    """Records one participant of a recorded session. `node_id` is the id of the host whose Janus writes the files."""

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
        self._publications: dict[int, _Publication] = {}
        self._over: list[_Publication] = []
        self._urgent = asyncio.Event()

    def published(self, stream: PublishedStream) -> None:
        """Begin to record a published stream, or extend the timelines of its tracks by its new state."""
        self._streams[stream.handle] = stream
        if not self._room_on_disk:
            return
        publication = self._publications.get(stream.handle)
        if publication is None:
            epoch_ms = self._clock().timestamp() * 1000 - self._monotonic() * 1000
            publication = _Publication(stream.handle, stream.key, f"{self._node_id}_{new_id()}", epoch_ms)
            self._publications[stream.handle] = publication
            self._urgent.set()
        now_ms = self._now_ms(publication)
        for kind, track in publication.tracks.items():
            track.shown = timeline.switched(track.shown, kind in stream.enabled, now_ms)
            track.has_media = track.has_media or kind in stream.with_media
            if track.starts:
                self._urgent.set()

    def unpublished(self, handle: int) -> None:
        """End the recording of a stream that is no longer published."""
        self._streams.pop(handle, None)
        self._end(handle)

    def leave(self) -> None:
        """Close the timelines of all published streams, whose participant leaves. Writing the leave ends their rows."""
        for publication in self._publications.values():
            self._close(publication)

    def set_room_on_disk(self, enough: bool) -> None:
        """End all recordings when the disk has no room; record every published stream again when it has."""
        if enough is self._room_on_disk:
            return
        self._room_on_disk = enough
        if enough:
            for stream in self._streams.values():
                self.published(stream)
        else:
            for handle in list(self._publications):
                self._end(handle)

    async def run(self) -> None:
        """Write changes until cancelled: each PAUSE_SECS, and at once when a track or recording starts or ends."""
        message = "recording not written"
        guard = partial(faults_logged, message, participant_id=self._participant_id, tried_again_in_secs=PAUSE_SECS)
        await Periodic(self.write, PAUSE_SECS, guard, wake=self._urgent).run()

    async def write(self) -> None:
        """Bring the rows, and what Janus records, to the wanted state. Raises the errors of the database."""
        while self._over:
            await self._end_recording(self._over[0])
            self._over.pop(0)
        for publication in list(self._publications.values()):
            await self._begin(publication)
            for kind, track in publication.tracks.items():
                await self._write_track(publication, kind, track)

    def _end(self, handle: int) -> None:
        publication = self._publications.pop(handle, None)
        if publication is None:
            return
        self._close(publication)
        publication.over = True
        self._over.append(publication)
        self._urgent.set()

    def _close(self, publication: _Publication) -> None:
        now_ms = self._now_ms(publication)
        for track in publication.tracks.values():
            track.shown = timeline.switched(track.shown, False, now_ms)

    async def _begin(self, publication: _Publication) -> None:
        """Write the rows, then have Janus record: mjr files without a row are deleted by the worker."""
        if publication.begun:
            return
        begin = partial(recordings.begin, stream_key=publication.key, mjr_name=publication.mjr_name, now=self._clock())
        if await self._db.write(partial(begin, participant_id=self._participant_id)):
            publication.begun = True
            if not publication.over:
                await self._record(publication.handle, publication.mjr_name)

    async def _write_track(self, publication: _Publication, kind: str, track: _Track) -> None:
        starts, shown = track.starts, track.shown
        if not starts and (not track.started or track.written == shown):
            return
        function = recordings.first_media if starts else recordings.show
        write = partial(function, mjr_name=publication.mjr_name, type=kind, now=self._clock())
        await self._db.write(partial(write, shown=timeline.plain(shown)))
        track.started, track.written = True, shown

    async def _end_recording(self, publication: _Publication) -> None:
        if not publication.begun:
            return  # Janus has recorded nothing
        if publication.handle in self._streams:  # still published: it ends because the disk has no room
            await self._record(publication.handle, None)
        for kind, track in publication.tracks.items():
            await self._write_track(publication, kind, track)
        await self._db.write(partial(recordings.end, mjr_name=publication.mjr_name, now=self._clock()))

    def _now_ms(self, publication: _Publication) -> int:
        return round(publication.epoch_ms + self._monotonic() * 1000)
