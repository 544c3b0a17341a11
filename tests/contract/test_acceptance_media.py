"""The acceptance cases of the contract about files and compositions, by number, with real files and real ffmpeg."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from portico.core.object_keys import content_type, recording_key
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import recordings
from portico.storage.open import open_store
from tests.contract.answers import ANSWERS_WITHIN_SECS, checking_client
from tests.converter import pictures
from tests.converter.mjr_files import ffprobe
from tests.converter.pictures import BLACK, BLUE, GREEN, RED, YELLOW, Colour, MediaFile
from tests.factories import NOW, row
from tests.recorded import a_recorded_participant, converted, link, milliseconds, over, recording_of, started
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECS = 2.0
READY_WITHIN_SECS = 120.0
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW}
Cell = tuple[int, int, int, int]


@dataclass
class Archive:
    """A server on which a recorded session is over: four cameras of one colour each, 640x480, and two tones."""

    server: PorticoServer
    k1: httpx.Client
    session_id: str
    ids: dict[str, str]

    def request(self, **members: Any) -> str:
        answer = self.k1.post("/v2/room_compositions", json={"session_id": self.session_id, **members})
        assert answer.status_code == 202, answer.text
        composition = answer.json()["data"]
        assert composition["status"] == "enqueued"
        found: str = composition["id"]
        return found

    def completed(self, composition_id: str) -> dict[str, Any]:
        end = time.monotonic() + READY_WITHIN_SECS
        while time.monotonic() < end:
            composition: dict[str, Any] = self.k1.get(f"/v2/room_compositions/{composition_id}").json()["data"]
            if composition["status"] == "completed":
                return composition
            assert composition["status"] in ("enqueued", "processing"), composition
            time.sleep(0.1)
        raise AssertionError("the composition is not ready")

    def media(self, composition: dict[str, Any], folder: Path) -> MediaFile:
        path = folder / f"{composition['id']}.mp4"
        answer = httpx.get(composition["download_url"], timeout=ANSWERS_WITHIN_SECS)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
        path.write_bytes(answer.content)
        return MediaFile(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def archive(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Any:
    folder = tmp_path_factory.mktemp("archive")
    with portico(folder / "data", composition_regions="2") as server:
        headers = {"Authorization": f"Bearer {server.api_key}"}
        with checking_client(base_url=server.base_url, headers=headers) as client:
            db = open_database(f"sqlite:///{folder}/data/portico.db")
            try:
                session_id, ids = await _record(db, folder)
            finally:
                await db.close()
            yield Archive(server, client, session_id, ids)


async def _record(db: Database, folder: Path) -> tuple[str, dict[str, str]]:
    made = {name: pictures.video(folder / f"{name}.webm", colour, SECS, "640x480") for name, colour in COLOURS.items()}
    made |= {f"{hertz}": pictures.tone(folder / f"{hertz}.ogg", hertz, SECS) for hertz in (440, 1000)}
    # One transaction: the server soon ends participants on a gateway that it does not know.
    session_id, ids = await db.write(partial(_rows, files=made))
    store = open_store(None, folder / "data", secret=bytes(32), base_url="http://127.0.0.1")
    for name, file in made.items():
        key = recording_key(session_id, ids[name], file.suffix[1:])
        await store.put(file, key, content_type(key), _sha256(file))
    return session_id, ids


def _rows(tx: Transaction, files: dict[str, Path]) -> tuple[str, dict[str, str]]:
    joined, ids = a_recorded_participant(tx), {}
    for place, (name, file) in enumerate(files.items()):
        kind, other = ("video", "audio") if file.suffix == ".webm" else ("audio", "video")
        ids[name] = started(tx, joined.participant_id, kind)
        mjr_name = row(tx, schema.room_recordings, ids[name]).mjr_name
        assert recordings.discard(tx, recording_of(tx, mjr_name, other))
        whole = converted(tx, ids[name], seconds=SECS, size_bytes=file.stat().st_size)
        began = NOW + timedelta(milliseconds=place)
        key = recording_key(joined.session_id, ids[name], file.suffix[1:])
        facts = replace(whole, object_key=key, started_at=began, sha256=_sha256(file))
        shown = [[milliseconds(NOW), milliseconds(NOW + timedelta(seconds=SECS))]]
        recordings.show(tx, mjr_name, kind, shown, now=NOW)
        assert recordings.complete(tx, ids[name], facts, link, now=NOW)
    over(tx, joined.session_id, now=NOW + timedelta(seconds=SECS))
    return joined.session_id, ids


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def test_34_downloads_need_the_link_and_nothing_else(archive: Archive, tmp_path: Path) -> None:
    recording = archive.k1.get(f"/v2/room_recordings/{archive.ids['red']}").json()["data"]
    url = recording["download_url"]
    whole = httpx.get(url, timeout=ANSWERS_WITHIN_SECS)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/webm")
    assert int(whole.headers["content-length"]) == len(whole.content) and whole.headers["etag"]
    part = httpx.get(url, headers={"Range": "bytes=10-19"}, timeout=ANSWERS_WITHIN_SECS)
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    altered = url.replace("expires=", "expires=1")
    assert httpx.get(altered, timeout=ANSWERS_WITHIN_SECS).status_code == 403
    assert httpx.get(url[:-1] + ("A" if url[-1] != "A" else "B"), timeout=ANSWERS_WITHIN_SECS).status_code == 403
    path = tmp_path / "red.webm"
    path.write_bytes(whole.content)
    assert ffprobe(path, "stream=codec_name")["streams"][0]["codec_name"] == recording["codec"] == "vp8"


async def test_37_a_composition_of_everything(archive: Archive, tmp_path: Path) -> None:
    composition = await asyncio.to_thread(archive.completed, archive.request())
    made = archive.media(composition, tmp_path)
    (video,), (audio,) = made.streams("video"), made.streams("audio")
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 1280, 720)
    assert audio["codec_name"] == "aac"
    assert abs(float(made.facts()["format"]["duration"]) - SECS) < 0.1
    assert abs(composition["duration_secs"] - SECS) <= 1
    sound = made.sound()
    assert min(pictures.loudness(sound, hertz) for hertz in (440, 1000)) > 0.05


@pytest.mark.parametrize(("sources", "has_sound"), [(None, False), (["*"], True)])
async def test_40_sound_is_in_the_composition_or_not(
    archive: Archive, tmp_path: Path, sources: list[str] | None, has_sound: bool
) -> None:
    requested = archive.request(audio_sources=sources, resolution="160x120")
    made = archive.media(await asyncio.to_thread(archive.completed, requested), tmp_path)
    assert bool(made.streams("audio")) is has_sound


def region(*names: str, **members: int) -> dict[str, Any]:
    return {**members, "video_sources": list(names)}


LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, Cell]]] = {
    "one": ({"all": region("red")}, {"red": (160, 0, 960, 720)}),
    "two": ({"all": region("red", "green")}, {"red": (0, 120, 640, 480), "green": (640, 120, 640, 480)}),
    "three": (
        {"all": region("red", "green", "blue")},
        {"red": (80, 0, 480, 360), "green": (720, 0, 480, 360), "blue": (80, 360, 480, 360)},
    ),
    "strip": (
        {"strip": region("red", "green", "blue", "yellow", x_pos=960, width=320, max_columns=1)},
        {
            "red": (1000, 0, 240, 180),
            "green": (1000, 180, 240, 180),
            "blue": (1000, 360, 240, 180),
            "yellow": (1000, 540, 240, 180),
        },
    ),
    "pip": (
        {
            "main": region("red", width=1280, height=720, z_pos=0),
            "pip": region("green", x_pos=936, y_pos=516, width=320, height=180, z_pos=1),
        },
        {"green": (976, 516, 240, 180)},
    ),
    "split": (
        {"left": region("red", width=640, height=720), "right": region("green", x_pos=640, width=640, height=720)},
        {"red": (0, 120, 640, 480), "green": (640, 120, 640, 480)},
    ),
}


@pytest.fixture(scope="module")
def requested(archive: Archive) -> dict[str, str]:
    """Request the compositions of all layouts at once: their ids by layout name."""
    return {
        name: archive.request(video_layout=_with_ids(layout, archive.ids), audio_sources=None)
        for name, (layout, _) in LAYOUTS.items()
    }


def _with_ids(layout: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    return {
        name: members | {"video_sources": [ids[source] for source in members["video_sources"]]}
        for name, members in layout.items()
    }


@pytest.mark.parametrize("name", LAYOUTS)
async def test_41_layouts_are_drawn_as_worked_out(
    archive: Archive, requested: dict[str, str], tmp_path: Path, name: str
) -> None:
    made = archive.media(await asyncio.to_thread(archive.completed, requested[name]), tmp_path)
    assert made.size == (1280, 720)
    picture = made.frame(25)

    def seen(x: int, y: int) -> Colour | None:
        return pictures.seems(picture, x, y)

    for source, (left, top, width, height) in LAYOUTS[name][1].items():
        colour, right, bottom = COLOURS[source], left + width - 1, top + height - 1
        middle = (left + width // 2, top + height // 2)
        inside = [middle, (left + 3, middle[1]), (right - 3, middle[1]), (middle[0], top + 3), (middle[0], bottom - 3)]
        assert [seen(*place) for place in inside] == [colour] * 5, (name, source)
        for x, y in ((left - 3, middle[1]), (right + 3, middle[1]), (middle[0], top - 3), (middle[0], bottom + 3)):
            if 0 <= x < 1280 and 0 <= y < 720:
                assert seen(x, y) != colour, (name, source, x, y)
    if name == "strip":
        assert seen(480, 360) == BLACK
