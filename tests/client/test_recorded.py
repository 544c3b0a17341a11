"""A client is recorded and composed as any participant: the real files have its tone and its pictures."""

import asyncio
import io
import urllib.request
from typing import Any

import av
import numpy as np

from portico.client import Picture, Tone
from tests.client.parts import client, listen
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import level
from tests.waiting import until_in_thread

WITHIN_SECS = 120.0


def download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        content: bytes = answer.read()
        return content


def sound_of(content: bytes) -> Any:
    """Decode the audio of a file to mono samples at 48 kHz, of which 1 is full scale."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
    with av.open(io.BytesIO(content), "r") as container:
        pieces = [
            bytes(one.planes[0])[: one.samples * 2]
            for frame in container.decode(audio=0)
            for one in resampler.resample(frame)
        ]
    return np.frombuffer(b"".join(pieces), "<i2") / 32768


async def test_a_client_is_recorded_and_composed(rooms: Rooms) -> None:
    room_id = rooms.create(enable_recording=True)
    async with client(rooms, room_id, "Anna", messages=False) as anna, client(rooms, room_id, "Ben") as ben:
        await anna.publish(audio=Tone(440), video=Picture(320, 180, 10))
        await listen(ben.audio(), 3.0)
    session_id = rooms.sessions(room_id)[0]["id"]

    def completed() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = rooms.server.get(f"/v2/room_recordings?filter[session_id]={session_id}")["data"]
        return rows if len(rows) == 2 and all(row["status"] == "completed" for row in rows) else []

    recordings = {row["type"]: row for row in await until_in_thread(completed, WITHIN_SECS, "the recordings")}
    assert (recordings["audio"]["codec"], recordings["video"]["codec"]) == ("opus", "vp8")
    sound = sound_of(await asyncio.to_thread(download, recordings["audio"]["download_url"]))
    assert len(sound) >= 2.5 * 48_000
    assert level(sound[24_000:72_000], 440) > -20
    content = await asyncio.to_thread(download, recordings["video"]["download_url"])
    with av.open(io.BytesIO(content), "r") as container:
        pictures = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert set(pictures) == {(320, 180)}
    assert len(pictures) >= 15

    made = await asyncio.to_thread(rooms.rest.room_compositions.create, session_id=session_id, resolution="320x240")
    assert made.data is not None
    path = f"/v2/room_compositions/{made.data.id}"

    def composed() -> dict[str, Any] | None:
        row: dict[str, Any] = rooms.server.get(path)["data"]
        return row if row["status"] == "completed" else None

    composition = await until_in_thread(composed, WITHIN_SECS, "the composition")
    assert composition is not None
    assert composition["duration_secs"] >= 2
    mixed = sound_of(await asyncio.to_thread(download, composition["download_url"]))
    assert level(mixed[24_000:72_000], 440) > -30
