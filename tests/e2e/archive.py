"""What a call left behind, examined: files as they are downloaded, decoded into loudness and colours over time."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import numpy as np
from numpy.typing import NDArray
from telnyx import AsyncTelnyx
from telnyx.types import RoomRecording

from tests.converter.mjr_files import ffprobe
from tests.converter.pictures import RATE, ffmpeg, loudness

WINDOW_SECS = 0.1
AUDIBLE = 0.02
"""Amplitude from which a tone counts as present; the tests' tones have at least 0.1."""


@dataclass(frozen=True)
class Recorded:
    """One recording, and its file."""

    row: RoomRecording
    path: Path

    @property
    def started_at(self) -> datetime:
        assert self.row.started_at is not None
        return self.row.started_at

    @property
    def secs(self) -> float:
        """Seconds between the two instants of the API."""
        assert self.row.started_at is not None and self.row.ended_at is not None
        return (self.row.ended_at - self.row.started_at).total_seconds()

    def second(self, at: float) -> float:
        """The position in the file, in seconds, of a moment of time.time()."""
        return at - self.started_at.astimezone(UTC).timestamp()

    def tone_between(self, hertz: int, begin: float, end: float) -> NDArray[np.bool_]:
        """Whether the tone is present in each tenth of a second between two moments."""
        samples = self._sound()
        first, last = (int(self.second(at) / WINDOW_SECS) for at in (begin, end))
        step = int(RATE * WINDOW_SECS)
        windows = [samples[place * step : (place + 1) * step] for place in range(first, last)]
        return np.array([len(each) == step and loudness(each, hertz) > AUDIBLE for each in windows])

    def colour_at(self, at: float) -> tuple[int, int, int]:
        """The colour in the middle of the picture that is seen at a moment."""
        instants, pictures = self._frames()
        shown = max((number for number, instant in enumerate(instants) if instant <= self.second(at)), default=0)
        red, green, blue = (int(part) for part in pictures[shown][2, 2])
        return red, green, blue

    def _frames(self) -> tuple[list[float], NDArray[np.uint8]]:
        """When each frame is, and what it shows in 4 x 4 pixels: cameras change their size within a file."""
        frames = ffprobe(self.path, "frame=pts_time")["frames"]
        small = ("-vf", "scale=4:4", "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        pictures = np.frombuffer(ffmpeg("-i", self.path, *small), np.uint8).reshape(-1, 4, 4, 3)
        instants = [float(frame["pts_time"]) for frame in frames]
        assert len(instants) == len(pictures)
        return instants, pictures

    def _sound(self) -> NDArray[np.float32]:
        raw = ffmpeg("-i", self.path, "-map", "0:a", "-f", "f32le", "-ac", "2", "-ar", str(RATE), "-")
        return np.frombuffer(raw, np.float32).reshape(-1, 2)[:, 0]


async def fetch(url: str, path: Path) -> Path:
    """Download a file with its link alone, without an API key."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200, (answer.status, await answer.text())
        await asyncio.to_thread(path.write_bytes, await answer.read())
    return path


async def recordings(rest: AsyncTelnyx, folder: Path, session_id: str | None = None) -> list[Recorded]:
    """All recordings of the account or of one session, oldest first, downloaded."""
    chosen = {} if session_id is None else {"filter": {"session_id": session_id}}
    rows = [row async for row in rest.room_recordings.list(**chosen)]  # type: ignore[arg-type]
    found = []
    for row in reversed(rows):
        assert row.download_url is not None, row
        found.append(Recorded(row, await fetch(row.download_url, folder / f"{row.id}.{row.codec}")))
    return found
