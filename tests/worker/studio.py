"""A recorded stream, and what converts it: a database, mjr files, a store and a job runner."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import jobs, recordings
from portico.storage.open import open_store
from portico.storage.store import Store
from portico.worker import delete_object
from portico.worker.recordings.convert import ConvertRecording
from portico.worker.recordings.mjr_dates import MjrDates
from tests.converter.mjr_files import FIRST_PACKET_US, encode, every, opus_units, video_units, write_mjr
from tests.factories import facts, row, rows
from tests.recorded import a_recorded_participant, a_stream, milliseconds, recording_of
from tests.worker.recordings.workshop import Workshop

SECRET = bytes(range(32))
BEGAN = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=FIRST_PACKET_US)
"""When the first packet of the synthetic mjr files arrived."""
SECOND = timedelta(seconds=1)
KIND = jobs.CONVERT_RECORDING


@dataclass
class Studio:
    """A stream that was published for three seconds, and what converts it."""

    workshop: Workshop
    data_dir: Path
    room_id: str
    mjr_name: str
    store: Store

    @property
    def mjr_folder(self) -> Path:
        return self.data_dir / "dumps"

    def names(self, folder: str = "dumps") -> list[str]:
        """The names of the files in a folder of data_dir."""
        found = self.data_dir / folder
        return sorted(path.name for path in found.iterdir()) if found.is_dir() else []

    async def do(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.workshop.database.write(partial(function, *args, **kwargs))

    async def see(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.workshop.database.read(partial(function, *args, **kwargs))

    async def media(self, *kinds: str) -> None:
        """The first packets of these tracks arrive, after they were enabled."""
        for kind in kinds:
            shown = [[milliseconds(BEGAN - SECOND / 2), None]]
            assert await self.do(recordings.first_media, mjr_name=self.mjr_name, type=kind, shown=shown, now=BEGAN)

    def sound(self, ending: str = ".mjr") -> Path:
        self.mjr_folder.mkdir(parents=True, exist_ok=True)
        return write_mjr(self.mjr_folder / f"{self.mjr_name}-audio-0{ending}", opus_units(3000), "opus")

    def pictures(self) -> Path:
        self.mjr_folder.mkdir(parents=True, exist_ok=True)
        units = video_units(encode("vp8", range(90)), every(1000 / 30, 90))
        return write_mjr(self.mjr_folder / f"{self.mjr_name}-video-1.mjr", units, "vp8")

    async def end(self) -> None:
        """The stream is not published any more."""
        self.workshop.clock.now = BEGAN + 3 * SECOND
        await self.do(recordings.end, mjr_name=self.mjr_name, now=self.workshop.clock.now)

    async def work(self, dates: MjrDates | None = None) -> None:
        """Start the job runner."""
        database = self.workshop.database
        convert = ConvertRecording(
            database,
            self.store,
            self.data_dir,
            clock=self.workshop.clock,
            monotonic=self.workshop.secs,
            dates=dates,
        )
        delete = delete_object.kind(database, self.store)
        await self.workshop.runner({KIND: convert.kind(2), jobs.DELETE_OBJECT: delete})

    async def recording(self, kind: str) -> Row[Any]:
        recording_id = await self.see(recording_of, mjr_name=self.mjr_name, kind=kind)
        found: Row[Any] = await self.see(row, table=schema.room_recordings, row_id=recording_id)
        return found

    async def completed(self, kind: str) -> Row[Any]:
        """The recording, once it is completed."""

        def found(tx: Transaction) -> Row[Any] | None:
            each = rows(tx, schema.room_recordings, mjr_name=self.mjr_name, type=kind)[0]
            return each if each.status == recordings.COMPLETED else None

        return await self.workshop.until(found)

    async def events(self) -> list[dict[str, Any]]:
        """The payloads of recording.completed."""
        happened = await self.see(facts, room_id=self.room_id)
        return [payload for name, payload in happened if name == "recording.completed"]


async def a_studio(database: Database, tmp_path: Path, store: Store | None = None) -> Studio:
    workshop = Workshop(database)
    workshop.clock.now = BEGAN
    joined = await database.write(a_recorded_participant)
    mjr_name = await database.write(partial(a_stream, participant_id=joined.participant_id, now=BEGAN))
    room_id = (await database.read(partial(row, table=schema.room_sessions, row_id=joined.session_id))).room_id
    local = open_store(None, tmp_path, secret=SECRET, base_url="http://127.0.0.1:8080")
    return Studio(workshop, tmp_path, room_id, mjr_name, store or local)
