"""Composition with the real ffmpeg: what is visible and audible at which second, and what survives an interruption."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from portico.composer import commands
from portico.composer.compose import CompositionError, compose
from portico.composer.plan import AudioFile, CompositionPlan, Preset, VideoFile, picture_segments, sound_segments
from portico.core.layout import Placement, VideoSource, plan
from portico.core.model import Region
from portico.runtime.child_messages import ComposedFile
from tests.converter.pictures import (
    BLACK,
    BLUE,
    GREEN,
    RATE,
    RED,
    YELLOW,
    Colour,
    MediaFile,
    encode,
    ffmpeg,
    loudness,
    seems,
    sound,
    together,
    tone,
    video,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # on a busy machine, which gives compositions what is left

BEGINS_WITHIN_SECS = 150.0
"""Long, because nothing is promised: the composer comes last on a busy machine."""
T0 = 1_700_000_000_000
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "yellow": YELLOW}
# Ten blocks, dark or light: the number of the frame in binary.
COUNTER = "nullsrc=s=160x64:r=25:d={secs},geq=lum='if(mod(floor(N/pow(2,floor(X/16))),2),235,16)':cb=128:cr=128"


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of four seconds: a camera of each colour, 4:3, and four tones."""
    folder = tmp_path_factory.mktemp("tape")
    for name, colour in COLOURS.items():
        video(folder / f"{name}.webm", colour, 4)
    for hertz in (400, 600, 800, 1000):
        tone(folder / f"{hertz}.ogg", hertz, 4)
    encode(folder / "counter.webm", COUNTER.format(secs=8))
    return folder


class Stage:
    """Collects recordings with their times, and composes them."""

    def __init__(self, tape: Path, folder: Path) -> None:
        self.tape, self.folder = tape, folder
        self.sources: list[VideoSource] = []
        self.videos: list[VideoFile] = []
        self.audios: list[AudioFile] = []
        self.reported: list[float] = []

    def sees(
        self, name: str, from_secs: float, until_secs: float, *shown: tuple[float, float], file: str | None = None
    ) -> str:
        """Another camera. Of several that begin at the same time, the first one named is in front."""
        begin, end = ms(from_secs), ms(until_secs)
        recording_id = f"{len(self.videos):02}-{name}"
        intervals = tuple((ms(a), ms(b)) for a, b in shown) or ((begin, end),)
        self.sources.append(VideoSource(recording_id, begin, end, intervals))
        self.videos.append(VideoFile(recording_id, str(self.tape / (file or f"{name}.webm")), begin, name))
        return recording_id

    def adds_sound(self, hertz: int, from_secs: float, until_secs: float) -> None:
        number = len(self.audios)
        self.audios.append(AudioFile(f"{number}", str(self.tape / f"{hertz}.ogg"), ms(from_secs), ms(until_secs)))

    def plan(
        self,
        *regions: Region,
        size: tuple[int, int] = (320, 180),
        secs: float,
        sound: bool = False,
        placeholders: bool = False,
    ) -> CompositionPlan:
        placements = plan(regions, self.sources, *size, T0, ms(secs), placeholders)
        return CompositionPlan(
            *size, T0, round(secs * 1000), placements, tuple(self.videos), tuple(self.audios), sound, "fast"
        )

    def composition(self, of: CompositionPlan) -> MediaFile:
        self.composed = compose(
            of, self.folder / "work", self.folder / "composition.mp4", on_progress=self.reported.append
        )
        return MediaFile(self.folder / "composition.mp4")


@pytest.fixture
def stage(tape: Path, tmp_path: Path) -> Stage:
    return Stage(tape, tmp_path)


def ms(secs: float) -> int:
    return T0 + round(secs * 1000)


def corners(composition: MediaFile, secs: float) -> list[Colour | None]:
    """The colours in the middle of each quarter of a picture of 320x180, at the frame of that second."""
    picture = composition.frame(round(secs * 25))
    return [seems(picture, x, y) for y in (45, 135) for x in (80, 240)]


def numbers(composition: MediaFile, x: int, width: int, y: int) -> list[int]:
    """The counter's numbers in a row of blocks of every frame."""
    pictures = composition.frames()
    at = [x + width * (2 * block + 1) // 20 for block in range(10)]
    return [sum(1 << bit for bit, column in enumerate(at) if picture[y, column, 1] > 128) for picture in pictures]


def test_each_participant_is_visible_and_audible_from_second_to_second(stage: Stage) -> None:
    stage.sees("red", 0, 4)
    stage.sees("green", 1, 3)
    stage.sees("blue", 1.5, 4)
    stage.adds_sound(400, 0, 4)
    stage.adds_sound(600, 1, 2.5)
    stage.adds_sound(1000, 3, 4)
    made = stage.composition(stage.plan(secs=4, sound=True))
    assert corners(made, 0.96) == [RED, BLACK, BLACK, BLACK]
    assert corners(made, 1.0) == [RED, GREEN, BLACK, BLACK]
    assert corners(made, 1.52) == [RED, GREEN, BLUE, BLACK]
    assert corners(made, 2.96) == [RED, GREEN, BLUE, BLACK]
    assert corners(made, 3.0) == [RED, BLACK, BLUE, BLACK]
    assert corners(made, 3.96) == [RED, BLACK, BLUE, BLACK]
    samples = made.sound()
    for begin, end, expected in [
        (0.02, 0.98, (400,)),
        (1.02, 2.48, (400, 600)),
        (2.52, 2.98, (400,)),
        (3.02, 3.98, (400, 1000)),
    ]:
        part = samples[int(begin * RATE) : int(end * RATE)]
        audible = tuple(hertz for hertz in (400, 600, 800, 1000) if loudness(part, hertz) > 0.2)
        silent = tuple(hertz for hertz in (400, 600, 800, 1000) if loudness(part, hertz) < 0.01)
        assert audible == expected and len(audible + silent) == 4


def test_the_file_is_what_the_contract_says(stage: Stage) -> None:
    stage.sees("red", 0, 4)
    stage.adds_sound(400, 0, 4)
    made = stage.composition(stage.plan(secs=3.21, sound=True))
    facts = made.facts()
    (picture,), (voice,) = made.streams("video"), made.streams("audio")
    assert (picture["codec_name"], picture["pix_fmt"], picture["avg_frame_rate"]) == ("h264", "yuv420p", "25/1")
    assert (voice["codec_name"], voice["sample_rate"], voice["channels"]) == ("aac", "48000", 2)
    assert picture["nb_read_packets"] == "80" and float(picture["start_time"]) == float(voice["start_time"]) == 0
    for each in (facts["format"], picture, voice):
        assert float(each["duration"]) == pytest.approx(3.21, abs=0.1)
    content = made.path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert str(stage.tape).encode() not in content
    assert stage.composed.size_bytes == len(content) and stage.composed.duration_ms == 3200
    assert stage.reported == sorted(set(stage.reported)) and stage.reported[-1] == 1.0 and 0 <= stage.reported[0] < 0.5


def test_a_picture_is_fitted_into_its_cell_within_two_pixels(stage: Stage) -> None:
    for name in COLOURS:
        stage.sees(name, 0, 1)
    picture = stage.composition(stage.plan(size=(1280, 720), secs=0.4)).frame(5)
    for (left, top), colour in zip(((80, 0), (720, 0), (80, 360), (720, 360)), COLOURS.values(), strict=True):
        for x in (left + 2, left + 240, left + 477):
            for y in (top + 2, top + 180, top + 357):
                assert seems(picture, x, y) == colour
        for y in (top + 2, top + 357):
            assert seems(picture, left - 3, y) == seems(picture, left + 482, y) == BLACK


def test_a_cell_is_used_again_and_the_gap_is_black_and_silent(stage: Stage) -> None:
    stage.sees("red", 0, 1)
    stage.sees("green", 2, 3)
    stage.adds_sound(400, 0, 1)
    made = stage.composition(stage.plan(secs=3, sound=True))
    for secs, colour in [(0, RED), (0.96, RED), (1, BLACK), (1.96, BLACK), (2, GREEN), (2.96, GREEN)]:
        assert seems(made.frame(round(secs * 25)), 160, 90) == colour
    assert np.abs(made.sound()[int(1.1 * RATE) :]).max() < 0.001


def test_who_waits_takes_the_cell_that_frees(stage: Stage) -> None:
    stage.sees("red", 0, 3)
    stage.sees("green", 0, 1)
    stage.sees("blue", 0.4, 3)
    narrow = Region("main", 0, 0, 0, 320, 180, 2, 1, ("*",))
    made = stage.composition(stage.plan(narrow, secs=3))
    assert corners(made, 0.96)[:2] == [RED, GREEN]
    assert corners(made, 1)[:2] == [RED, BLUE]
    assert corners(made, 2.96)[:2] == [RED, BLUE]


def test_the_higher_region_is_on_top_and_its_empty_cells_let_through(stage: Stage) -> None:
    red, blue = stage.sees("red", 0, 2), stage.sees("blue", 0, 1)
    main = Region("main", 0, 0, 0, 320, 180, None, None, (red,))
    pip = Region("pip", 200, 100, 1, 96, 54, None, None, (blue,))
    made = stage.composition(stage.plan(pip, main, secs=2))
    with_pip, without = made.frame(10), made.frame(30)
    assert seems(with_pip, 248, 127) == BLUE and seems(with_pip, 202, 127) == BLACK  # 4:3 in a wide cell: black sides
    assert seems(with_pip, 197, 127) == seems(without, 248, 127) == seems(without, 202, 127) == RED


def test_a_camera_that_is_off_leaves_its_cell_and_comes_back(stage: Stage) -> None:
    stage.sees("red", 0, 4)
    stage.sees("green", 0, 4, (0, 1), (2, 4))
    made = stage.composition(stage.plan(secs=4))
    assert [corners(made, secs)[1] for secs in (0.96, 1, 1.96, 2, 3.96)] == [GREEN, BLACK, BLACK, GREEN, GREEN]
    assert corners(made, 1.5)[0] == RED


def test_a_named_tile_stands_for_a_camera_that_is_off(stage: Stage) -> None:
    stage.sees("red", 0, 2)
    stage.sees("green", 0, 2, (1, 2))
    stage.videos[1] = replace(stage.videos[1], name="x':[a];movie=/etc/passwd,\\%{pts}\n" + "W" * 60)
    made = stage.composition(stage.plan(secs=2, placeholders=True, size=(640, 360)))
    named, shown = made.frame(12)[:, 320:], made.frame(30)
    assert 20 < named[10, 160].mean() < 80  # not black
    letters = np.argwhere(named.min(axis=2) > 180)
    assert len(letters) > 50  # white on grey
    (top, left), (bottom, right) = letters.min(axis=0), letters.max(axis=0)
    assert 150 < top < bottom < 210 and left > 4 and right < 316
    assert seems(shown, 480, 180) == GREEN


def test_names_in_every_script_are_letters_and_no_boxes(stage: Stage) -> None:
    """A missing letter is drawn as the box of a code point that no font has, or not at all: none of these looks so."""
    names = ["王", "李", "김", "수", "あ", "ア", "م", "न", "Ж", "😀", "W", "\ufdd0"]
    for name in names:
        stage.sees("red", 0, 1, (0.5, 0.5), file="red.webm")
        stage.videos[-1] = replace(stage.videos[-1], name=name)
    made = stage.composition(stage.plan(secs=0.2, placeholders=True, size=(1280, 720)))
    picture = made.frame(2)
    # Three rows of four.
    tiles = [picture[y : y + 240, x : x + 320].min(axis=2) > 120 for y in (0, 240, 480) for x in (0, 320, 640, 960)]
    for name, tile in zip(names[:-1], tiles, strict=False):
        assert tile.sum() > 40, name
    for one, first in enumerate(tiles):
        for second in tiles[:one]:
            assert (first != second).sum() > 30


def test_small_text_of_a_shared_screen_can_be_read(stage: Stage) -> None:
    """Letters of 12 points, 16 pixels, on a screen of 1920x1080 differ at 720p, as comparing alphabets shows."""
    letters = "abcdefghijkmnopqrstuvwxyzABDEFGHKMNPRSTUXYZ23456789"
    words = random.Random(7).choices(letters, k=120)
    written(stage.tape / "text.png", words)
    written(stage.tape / "alphabet.png", letters)
    ffmpeg(
        *("-loop", "1", "-r", "5", "-t", "1.2", "-i", stage.tape / "text.png", "-pix_fmt", "yuv420p"),
        *("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "4", "-b:v", "2500k", stage.tape / "text.webm"),
    )
    screen = stage.sees("text", 0, 1, file="text.webm")
    stage.sees("red", 0, 1)
    stage.sources[0] = replace(stage.sources[0], screen=True)
    made = stage.composition(replace(stage.plan(secs=1, size=(1280, 720)), preset="default"))
    cell = next(each for each in stage.plan(secs=1, size=(1280, 720)).placements if each.recording_id == screen)
    assert (cell.x, cell.y, cell.width, cell.height) == (0, 0, 1067, 720)
    picture = made.frame(20)
    assert seems(picture, 1270, 60) == BLACK and seems(picture, 1170, 60) == RED
    shown = picture[60:660, :1066].mean(axis=2)
    raw = ffmpeg("-i", stage.tape / "alphabet.png", "-vf", "scale=1066:600", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    known = dict(zip(letters, letters_of(np.frombuffer(raw, np.uint8).reshape(600, 1066)), strict=False))
    read = [max(known, key=lambda letter: likeness(seen, known[letter])) for seen in letters_of(shown)[: len(words)]]
    right = sum(is_one == was for is_one, was in zip(read, words, strict=True))
    assert right >= 0.95 * len(words), "".join(read)


PITCH = 54
"""Pixels from one letter to the next, on a screen of 1920x1080: thirty at 720p."""


def written(path: Path, letters: Sequence[str]) -> Path:
    """A screen with these letters of 12 points (16 pixels), black on white."""
    rows = [letters[at : at + 34] for at in range(0, len(letters), 34)]
    events = [
        f"Dialogue: 0,0:00:00.00,9:59:59.00,Name,,0,0,0,,"
        f"{{\\pos({PITCH * (x + 1)},{PITCH * (y + 1)})\\1c&H000000&}}{each}"
        for y, row in enumerate(rows)
        for x, each in enumerate(row)
    ]
    size = "PlayResX: 1920\nPlayResY: 1080\nWrapStyle: 2\n[V4+ Styles]\n"
    style = "Format: Name, Fontname, Fontsize, Alignment\nStyle: Name,DejaVu Sans,18.6,5\n[Events]\n"
    head = f"[Script Info]\nScriptType: v4.00+\n{size}{style}"
    fields = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    script = path.with_suffix(".ass")
    script.write_text(head + fields + "\n".join(events))
    ffmpeg("-f", "lavfi", "-i", "color=c=white:s=1920x1080:d=0.04", "-vf", f"ass=f={script}", "-frames:v", "1", path)
    return path


def letters_of(screen: NDArray[Any]) -> list[NDArray[Any]]:
    """The area around each position of a letter on a screen that is 1066 pixels wide."""
    scale, half = 1066 / 1920, 9
    at = [(round(PITCH * (y + 1) * scale), round(PITCH * (x + 1) * scale)) for y in range(4) for x in range(34)]
    return [screen[y - half : y + half, x - half : x + half].astype(float) for y, x in at]


def likeness(seen: NDArray[Any], known: NDArray[Any]) -> float:
    """How well two pictures of letters agree where they agree best."""
    best = -1.0
    inner = known[3:-3, 3:-3] - known[3:-3, 3:-3].mean()
    for y in range(7):
        for x in range(7):
            part = seen[y : y + inner.shape[0], x : x + inner.shape[1]]
            part = part - part.mean()
            size = float(np.sqrt((part**2).sum() * (inner**2).sum())) or 1.0
            best = max(best, float((part * inner).sum()) / size)
    return best


def test_a_source_that_changes_its_resolution_is_fitted_anew_and_changes_nothing_else(stage: Stage) -> None:
    small = video(stage.tape / "small.webm", GREEN, 1, "90x90")
    wide = video(stage.tape / "wide.webm", BLUE, 1, "320x90")
    together(stage.tape / "changing.webm", stage.tape / "red.webm", small, wide)
    # A still picture: one frame for each two seconds. It must not vanish when the neighbour changes.
    encode(stage.tape / "still.webm", "color=c=yellow:s=160x120:r=0.5:d=6")
    for name in ("changing", "still", "counter"):
        stage.sees(name, 0, 6)
    stage.adds_sound(400, 0, 4)
    made = stage.composition(stage.plan(secs=6, sound=True, size=(640, 360)))
    before, square, wide_one = (made.frame(frame) for frame in (99, 101, 126))
    assert [seems(before, x, 90) for x in (35, 45, 275, 285)] == [BLACK, RED, RED, BLACK]
    assert [seems(square, x, 90) for x in (65, 75, 245, 255)] == [BLACK, GREEN, GREEN, BLACK]
    assert [seems(wide_one, 5, y) for y in (40, 50, 130, 140)] == [BLACK, BLUE, BLUE, BLACK]
    assert {seems(picture, 480, 90) for picture in made.frames()} == {YELLOW}
    assert numbers(made, 0, 320, 270) == list(range(150))
    samples = made.sound()
    assert min(loudness(samples[at : at + RATE // 2], 400) for at in range(0, 3 * RATE + 1, RATE // 2)) > 0.2


def test_segments_join_without_a_frame_too_many_or_too_few(stage: Stage) -> None:
    stage.sees("counter", 0, 8)
    # Comes and goes between frames, now and then for less than a frame.
    stage.sees(
        "red", 0, 8, (0.313, 0.351), (1.333, 2.017), (3.001, 3.039), (4.1, 4.98), (5.55, 7.999), file="green.webm"
    )
    of = stage.plan(secs=8, size=(320, 64))
    assert len(picture_segments(of)) >= 9
    made = stage.composition(of)
    assert numbers(made, 0, 160, 32) == list(range(200))
    assert made.streams("video")[0]["nb_read_packets"] == "200"


@pytest.mark.parametrize("preset", ["fast", "default", "small"])
@pytest.mark.parametrize("with_sound", [True, False])
def test_pictures_are_decoded_forty_milliseconds_apart(stage: Stage, preset: Preset, with_sound: bool) -> None:
    """This also holds if the arrangement changes after one or two pictures, at the beginning and at the end."""
    stage.sees("counter", 0, 4)
    stage.sees("green", 0, 4, (0.04, 0.08), (0.5, 0.54), (0.62, 0.7), (1, 1.12), (2.2, 2.24), (2.28, 3.16))
    stage.sees("blue", 0, 4, (0.08, 1.04), (1.08, 2.24), (3.2, 3.24))
    stage.adds_sound(400, 0, 4)
    of = replace(stage.plan(secs=3.24, sound=with_sound), preset=preset)
    lengths = {segment.frames for segment in picture_segments(of)}
    assert {1, 2} <= lengths
    made = stage.composition(of)
    assert made.decoding_times() == pytest.approx([number * 0.04 for number in range(81)], abs=0.0005)
    (picture,) = made.streams("video")
    assert (picture["avg_frame_rate"], picture["r_frame_rate"], picture["nb_frames"]) == ("25/1", "25/1", "81")
    for each in made.facts()["streams"]:
        assert float(each["start_time"]) == 0
        assert float(each["duration"]) == pytest.approx(3.24, abs=0.04)
    assert made.times() == pytest.approx([number * 0.04 for number in range(81)], abs=0.0005)
    assert numbers(made, 0, 160, 45) == list(range(81))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_composition_of_a_few_pictures_is_as_long_as_they_are(stage: Stage, frames: int) -> None:
    stage.sees("red", 0, 4)
    made = stage.composition(replace(stage.plan(secs=frames * 0.04), preset="default"))
    (picture,) = made.streams("video")
    assert (picture["avg_frame_rate"], picture["nb_frames"]) == ("25/1", str(frames))
    assert float(picture["duration"]) == pytest.approx(frames * 0.04, abs=0.001)
    assert made.times() == pytest.approx([number * 0.04 for number in range(frames)], abs=0.0005)


def test_segments_of_sound_join_without_a_click(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portico.composer.plan.SEGMENT_FRAMES", 33)
    monkeypatch.setattr("portico.composer.plan.INPUTS_MAX", 2)
    for hertz in (400, 600, 1000):
        stage.adds_sound(hertz, 0, 4)
    of = stage.plan(secs=4, sound=True)
    assert len(sound_segments(of)) == 4
    samples = stage.composition(of).sound()
    at = np.arange(4 * RATE) / RATE
    # What is left when the three tones, wherever their phases are, are taken away.
    waves = np.stack([wave(2 * np.pi * hertz * at) for hertz in (400, 600, 1000) for wave in (np.sin, np.cos)], axis=1)
    inner = slice(RATE // 10, 4 * RATE - RATE // 10)
    amplitudes, *_ = np.linalg.lstsq(waves[inner], samples[: len(at)][inner], rcond=None)
    rest = samples[: len(at)][inner] - waves[inner] @ amplitudes
    assert np.abs(amplitudes).max() > 0.1
    assert np.abs(rest).max() < 0.03


def test_loud_voices_are_limited_not_clipped(stage: Stage) -> None:
    tone(stage.tape / "300.ogg", 300, 2, volume=0.7)
    for _ in range(6):
        stage.adds_sound(300, 0, 2)
    samples = stage.composition(stage.plan(secs=2, sound=True)).sound()[RATE // 2 : RATE]
    assert 0.8 < np.abs(samples).max() <= 1.0
    assert loudness(samples, 300) > 0.8
    assert loudness(samples, 900) < 0.03  # clipping would make the third harmonic: 0.25 and more


def test_a_silent_composition_has_no_audio_track_and_a_composition_without_video_is_black(stage: Stage) -> None:
    stage.adds_sound(400, 0, 4)
    made = stage.composition(stage.plan(secs=1, sound=False))
    assert [each["codec_type"] for each in made.facts()["streams"]] == ["video"]
    assert made.frames().max() < 20 and len(made.frames()) == 25


def test_an_odd_size_is_encoded_one_pixel_smaller(stage: Stage) -> None:
    stage.sees("red", 0, 1)
    stage.sees("green", 0, 1)
    made = stage.composition(stage.plan(secs=0.4, size=(321, 181)))
    assert made.size == (320, 180)
    assert corners(made, 0.2)[:2] == [RED, GREEN]


def test_h264_and_a_recording_that_began_before_the_keyframe_are_read_alike(stage: Stage) -> None:
    encode(stage.tape / "h264.mp4", COUNTER.format(secs=4))
    # The first frame stands 0.4 s after the recording's start, as with a track that begins between keyframes.
    ffmpeg("-itsoffset", "0.4", "-i", stage.tape / "counter.webm", "-c", "copy", stage.tape / "delayed.webm")
    stage.sees("a", 0, 4, (0, 1), (2, 4), file="h264.mp4")
    stage.sees("b", 0, 4, file="delayed.webm")
    made = stage.composition(stage.plan(secs=4, size=(320, 64)))
    left, right = numbers(made, 0, 160, 32), numbers(made, 160, 160, 32)
    assert left == [*range(25), *[0] * 25, *range(50, 100)]
    assert right == [*[0] * 10, *range(90)]


def test_a_file_that_is_shorter_than_its_recording_keeps_its_last_picture(stage: Stage) -> None:
    stage.sees("red", 0, 8, (0, 5), (6, 8))
    stage.adds_sound(400, 0, 8)
    made = stage.composition(stage.plan(secs=8, sound=True))
    assert [seems(made.frame(frame), 160, 90) for frame in (124, 125, 149, 150, 199)] == [RED, BLACK, BLACK, RED, RED]
    assert len(made.sound()) == pytest.approx(8 * RATE, abs=2048)


def test_a_recording_that_cannot_be_read_is_left_out(stage: Stage) -> None:
    (stage.tape / "noise.webm").write_bytes(bytes(range(256)) * 100)
    (stage.tape / "500.ogg").write_bytes(b"OggS" + bytes(200))
    header = (stage.tape / "blue.webm").read_bytes()[:300]
    (stage.tape / "stump.webm").write_bytes(header)
    stage.sees("red", 0, 1)
    stage.sees("noise", 0, 1)
    stage.sees("stump", 0.5, 1)
    stage.adds_sound(400, 0, 1)
    stage.adds_sound(500, 0, 1)
    made = stage.composition(stage.plan(secs=1, sound=True))
    assert corners(made, 0.2) == [RED, BLACK, BLACK, BLACK]
    assert set(stage.composed.left_out) == {"01-noise", "02-stump", "1"}
    assert loudness(made.sound()[5000:43000], 400) > 0.2


@pytest.mark.parametrize("size", ["20x1280", "1280x20"])
def test_a_very_narrow_picture_is_seen_in_a_small_cell(stage: Stage, size: str) -> None:
    """Scaled to the cell and rounded to an even number, its other side would have 0 pixels."""
    video(stage.tape / f"{size}.webm", GREEN, 1, size)
    for _ in range(16):
        stage.sees("narrow", 0, 1, file=f"{size}.webm")
    made = stage.composition(stage.plan(secs=0.4))
    assert stage.composed.left_out == ()
    assert made.frame(5)[:44, :80, 1].max() > 100


def test_a_recording_that_is_broken_in_the_middle_is_left_out_there(stage: Stage) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=15:d=20", "-g", "15", "-c:v", "libvpx", stage.tape / "whole.webm")
    content = bytearray((stage.tape / "whole.webm").read_bytes())
    middle, index = len(content) // 2, len(content) - 3000
    content[middle:index] = random.Random(6).randbytes(index - middle)
    (stage.tape / "broken.webm").write_bytes(content)
    stage.sees("broken", 0, 16, (0, 2), (15, 15.4), (15.6, 16))
    stage.sees("red", 0, 16)
    made = stage.composition(stage.plan(secs=16))
    assert stage.composed.left_out == ("00-broken",)
    assert corners(made, 15.2)[:2] == [BLACK, RED]
    assert made.frame(20)[45, 20:140].std() > 20, "where it can be read it is seen"


def test_a_picture_that_would_take_gigabytes_is_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.sees("red", 0, 1)
    video(stage.tape / "huge.webm", GREEN, 1, "640x480")
    stage.sees("huge", 0, 1, file="huge.webm")
    monkeypatch.setattr(commands, "PIXELS_MAX", 640 * 480 - 1)
    made = stage.composition(stage.plan(secs=0.4))
    assert stage.composed.left_out == ("01-huge",)
    assert corners(made, 0.2)[:2] == [RED, BLACK]


def test_a_file_that_is_missing_is_an_error_that_names_it(stage: Stage) -> None:
    stage.sees("red", 0, 1, file="nowhere.webm")
    with pytest.raises(CompositionError, match=r"missing: nowhere\.webm"):
        stage.composition(stage.plan(secs=1))
    assert [path.name for path in stage.folder.iterdir()] == ["work"]


def test_a_full_disk_is_reported_as_ffmpeg_does(stage: Stage) -> None:
    stage.sees("red", 0, 1)
    work = stage.folder / "work"
    work.mkdir()
    (work / "picture-00000.mp4.part").symlink_to("/dev/full")
    with pytest.raises(CompositionError, match=r"picture-00000\.mp4, could not be made: .*No space left on device"):
        stage.composition(stage.plan(secs=1))


@pytest.mark.parametrize("preset", ["fast", "default", "small"])
def test_every_preset_makes_a_composition(stage: Stage, preset: Preset) -> None:
    stage.sees("red", 0, 1)
    stage.sees("green", 0.5, 1)
    made = stage.composition(replace(stage.plan(secs=1), preset=preset))
    assert corners(made, 0.96)[:2] == [RED, GREEN]


def test_what_is_finished_is_not_made_again_unless_the_plan_is_another(stage: Stage) -> None:
    stage.sees("red", 0, 2)
    stage.sees("green", 1, 2)
    stage.adds_sound(400, 0, 2)
    first = stage.plan(secs=2, sound=True)
    one = stage.composition(first).path.read_bytes()
    before = made_parts(stage.folder / "work")
    assert len(before) == 3
    assert stage.composition(first).path.read_bytes() == one
    assert made_parts(stage.folder / "work") == before
    colder = replace(first, placements=(first.placements[0],))
    assert corners(stage.composition(colder), 1.5)[:2] == [RED, BLACK]
    (stage.folder / "work" / "manifest.json").write_text("{ torn")
    assert stage.composition(first).path.read_bytes() == one


def test_fifty_people_fit_into_one_picture(stage: Stage) -> None:
    for number in range(50):
        stage.sees("participant", 0, 1, file=f"{list(COLOURS)[number % 4]}.webm")
        stage.adds_sound((400, 600, 800, 1000)[number % 4], 0, 1)
    made = stage.composition(stage.plan(secs=0.4, size=(640, 448), sound=True))  # eight columns, seven rows
    picture = made.frame(5)
    seen = [seems(picture, 40 + number % 8 * 80, 32 + number // 8 * 64) for number in range(50)]
    assert seen == [list(COLOURS.values())[number % 4] for number in range(50)]


def test_flash_and_beep_stay_together_for_ten_minutes(tmp_path: Path) -> None:
    """The camera flashes and the microphone beeps on each second of the wall clock; they started at other times."""
    flash = "color=c=black:s=64x48:r=30:d=60,drawbox=c=white:t=fill:enable='lt(mod(t+0.263,1),0.08)'"
    minute = encode(tmp_path / "minute.mp4", flash)
    together(tmp_path / "flash.mp4", *[minute] * 10)
    at = np.arange(600 * RATE) / RATE
    beep = 0.5 * np.sin(2 * np.pi * 1000 * at) * ((at + 0.137) % 1 < 0.08)
    sound(tmp_path / "beep.ogg", beep, "-compression_level", "0")
    away = [
        Placement("other", at * 1000, at * 1000 + 777, 0, 48, 64, 48, 0, placeholder=True) for at in range(7, 590, 83)
    ]
    flashes = Placement("flash", 263, 600_000, 0, 0, 64, 48, 0)
    of = CompositionPlan(
        64,
        96,
        T0,
        600_000,
        (flashes, *away),
        (VideoFile("flash", str(tmp_path / "flash.mp4"), ms(0.263)),),
        (AudioFile("beep", str(tmp_path / "beep.ogg"), ms(0.137), ms(600)),),
        preset="fast",
    )
    compose(of, tmp_path / "work", tmp_path / "composition.mp4", on_progress=lambda _: None)
    made = MediaFile(tmp_path / "composition.mp4")
    light = made.frames()[:, 24, 32, 0].astype(int) > 128
    seen = np.flatnonzero(light[1:] & ~light[:-1]) / 25 + 0.04
    loud = np.abs(made.sound()) > 0.1
    starts = np.flatnonzero(loud & ~np.roll(loud, 1)) / RATE
    audible = starts[np.concatenate([[True], np.diff(starts) > 0.5])]
    assert len(seen) == len(audible) == 599
    assert np.percentile(np.abs(seen - audible), 95) <= 0.08
    assert np.abs(seen - np.round(seen)).max() <= 0.05 and np.abs(audible - np.round(audible)).max() <= 0.02
    for stream in made.facts()["streams"]:
        assert float(stream["duration"]) == pytest.approx(600, abs=0.1)


def made_parts(work: Path) -> dict[str, int]:
    """The finished parts and when they were made."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(work.iterdir()) if path.suffix in (".mp4", ".flac")}


class Command:
    """A running `python -m portico.composer.compose`."""

    def __init__(self, of: CompositionPlan, folder: Path) -> None:
        self.work, self.out = folder / "out.mp4.work", folder / "out.mp4"
        (folder / "plan.json").write_bytes(msgspec.json.encode(of))
        command = [sys.executable, "-m", "portico.composer.compose", str(folder / "plan.json"), str(self.out)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finished_parts(self) -> int:
        manifest = self.work / "manifest.json"
        return len(json.loads(manifest.read_text())) if manifest.exists() else 0

    def ffmpegs(self) -> list[int]:
        """The processes that write into the work folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                ours = str(self.work).encode() in entry.read_bytes() and entry.parent.name != str(self.process.pid)
                if ours and not is_killed(entry.parent):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found


def is_killed(process: Path) -> bool:
    """Whether the process has received SIGKILL: at the lowest priority it may wait long for a core to end on."""
    pending = re.findall(r"^(?:Sig|Shd)Pnd:\s+([0-9a-f]+)$", (process / "status").read_text(), re.MULTILINE)
    return any(int(each, 16) & 1 << signal.SIGKILL - 1 for each in pending)


def priorities(pids: list[int]) -> set[int]:
    """The niceness of each of these processes that still exists."""
    found = set()
    for pid in pids:
        with suppress(ProcessLookupError):
            found.add(os.getpriority(os.PRIO_PROCESS, pid))
    return found


def secs_until(over: Callable[[], bool], pids: list[int]) -> float:
    """Seconds until `over()`, without the time when a process of these waited for a core, or this test did not run."""
    secs, looked_at = 0.0, time.monotonic()
    before: dict[Path, tuple[bool, int]] = {}
    while not over():
        time.sleep(0.01)
        now, after = time.monotonic(), dict(each for pid in pids for each in threads(pid))
        if not any(is_ready and before.get(thread) == (True, ran) for thread, (is_ready, ran) in after.items()):
            secs += min(now - looked_at, 0.05)
        looked_at, before = now, after
    return secs


def threads(pid: int) -> Iterator[tuple[Path, tuple[bool, int]]]:
    """For each thread: whether it can run, and for how many nanoseconds it has run."""
    for thread in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
            yield thread, (state == "R", int((thread / "schedstat").read_text().split()[0]))


@pytest.fixture
def long_composition(stage: Stage) -> CompositionPlan:
    """Five quick segments, and one that takes a while."""
    encode(stage.tape / "moving.webm", "testsrc2=s=320x180:r=10:d=3")
    stage.sees("moving", 0, 400)
    stage.sees("red", 0, 400, (1, 1.4), (2, 2.4))
    return replace(stage.plan(secs=250, size=(1280, 720)), preset="small")


@contextmanager
def running(of: CompositionPlan, folder: Path) -> Iterator[Command]:
    command = Command(of, folder)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.communicate()


def test_after_a_kill_it_goes_on_with_what_is_not_finished(long_composition: CompositionPlan, tmp_path: Path) -> None:
    with running(long_composition, tmp_path) as command:
        wait_until(lambda: command.finished_parts() >= 3 and command.ffmpegs(), BEGINS_WITHIN_SECS)
        command.process.kill()
        command.process.wait()
        wait_until(lambda: not command.ffmpegs(), 2)
    before = made_parts(command.work)
    assert len(before) >= 3 and not command.out.exists()
    short = replace(long_composition, duration_ms=2_600)
    with running(short, tmp_path) as again:
        output, _ = again.process.communicate(timeout=150)
    lines = [json.loads(line) for line in output.splitlines()]
    after = made_parts(command.work)
    assert again.process.returncode == 0
    kept = sorted(before)[:3]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    result = msgspec.convert(lines[-1], ComposedFile)
    assert (result.size_bytes, result.duration_ms) == (command.out.stat().st_size, 2_600)
    progress = [line["progress"] for line in lines[:-1]]
    assert progress == sorted(progress) and progress[-1] == 1.0


def test_sigterm_ends_it_at_once_and_leaves_no_ffmpeg_and_no_composition(
    long_composition: CompositionPlan, tmp_path: Path
) -> None:
    with running(long_composition, tmp_path) as command:
        wait_until(lambda: command.finished_parts() >= 1 and command.ffmpegs(), BEGINS_WITHIN_SECS)
        pids = [command.process.pid, *command.ffmpegs()]
        command.process.terminate()
        assert secs_until(lambda: command.process.poll() is not None, pids) < 2
        assert command.process.returncode == 143
        assert command.ffmpegs() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4.work", "plan.json"]


def test_it_works_at_the_lowest_priority(long_composition: CompositionPlan, tmp_path: Path) -> None:
    with running(long_composition, tmp_path) as command:
        wait_until(command.ffmpegs, BEGINS_WITHIN_SECS)
        assert os.getpriority(os.PRIO_PROCESS, command.process.pid) == 19
        seen: list[set[int]] = []

        def is_seen() -> bool:
            """True while an ffmpeg runs, not between two."""
            seen.append(priorities(command.ffmpegs()))
            return bool(seen[-1])

        wait_until(is_seen, BEGINS_WITHIN_SECS)
        assert seen[-1] == {19}


def test_it_ends_with_the_process_that_started_it(long_composition: CompositionPlan, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(long_composition))
    start = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'portico.composer.compose', *sys.argv[1:]])"
    parent = subprocess.Popen([sys.executable, "-c", start, tmp_path / "plan.json", tmp_path / "composition.mp4"])
    mark = str(tmp_path / "composition.mp4").encode()

    def ours() -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if mark in entry.read_bytes() and entry.parent.name != str(parent.pid):
                    found.append(entry.parent.name)
            except OSError:
                continue
        return found

    try:
        wait_until(lambda: len(ours()) >= 2, BEGINS_WITHIN_SECS)  # the composer and its ffmpeg
        pids = [int(pid) for pid in ours()]
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert secs_until(lambda: not ours(), pids) < 2
    assert not (tmp_path / "composition.mp4").exists(), "it did not go on to the end of the composition"


def test_a_plan_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"width": "wide"}')
    command = [
        sys.executable,
        "-m",
        "portico.composer.compose",
        str(tmp_path / "plan.json"),
        str(tmp_path / "composition.mp4"),
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "int" in json.loads(ended.stdout)["error"]
