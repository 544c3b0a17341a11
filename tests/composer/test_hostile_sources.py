"""Hostile recordings do not raise the cost of a composition: memory, processes and CPU time stay bounded."""

import subprocess
import sys
import time
from array import array
from pathlib import Path

import msgspec
import pytest

from portico.composer import commands, reduction, source_facts
from portico.composer import ffmpeg as running
from portico.composer.compose import compose
from portico.composer.plan import CompositionPlan, VideoFile, picture_segments
from portico.composer.source_facts import SourceFacts
from portico.core.layout import Placement, VideoSource, plan
from portico.runtime import child_limits
from tests.converter.pictures import BLACK, GREEN, RED, MediaFile, encode, ffmpeg, seems, together, video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

T0 = 1_700_000_000_000
HOUR_MS = 3_600_000
COUNTER = "nullsrc=s=160x64:r=25:d={secs},geq=lum='if(mod(floor(N/pow(2,floor(X/16))),2),235,16)':cb=128:cr=128"


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a few kilobytes that announces pictures of 35 million pixels."""
    return encode(tmp_path_factory.mktemp("huge") / "huge.webm", "color=c=red:s=8192x4320:r=5:d=0.6")


def grid_of(paths: list[Path], secs: float, size: tuple[int, int] = (640, 360)) -> CompositionPlan:
    """A plan that shows all these files at once, from beginning to end."""
    end = T0 + round(secs * 1000)
    sources = [VideoSource(f"{number:02}", T0, end, ((T0, end),)) for number in range(len(paths))]
    videos = tuple(VideoFile(f"{number:02}", str(path), T0) for number, path in enumerate(paths))
    return CompositionPlan(*size, T0, end - T0, plan((), sources, *size, T0, end), videos, (), False, "fast")


def megabytes_of_tree(pid: int) -> float:
    """The memory of a process and all its descendants."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        own = int(status.partition("VmRSS:")[2].split()[0]) / 1000 if "VmRSS:" in status else 0.0
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return own + sum(megabytes_of_tree(int(child)) for child in below)


def peak_megabytes(of: CompositionPlan, folder: Path) -> float:
    """The highest memory of the composer and its children while it works."""
    (folder / "plan.json").write_bytes(msgspec.json.encode(of))
    command = [
        sys.executable,
        "-m",
        "portico.composer.compose",
        str(folder / "plan.json"),
        str(folder / "composition.mp4"),
    ]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, megabytes_of_tree(process.pid))
            time.sleep(0.01)
    assert process.returncode == 0
    return peak


def middles(folder: Path, of: CompositionPlan, columns: int, rows: int) -> list[object]:
    picture = MediaFile(folder / "composition.mp4").frame(2)
    width, height = of.width // columns, of.height // rows
    return [
        seems(picture, width * column + width // 2, height * row + height // 2)
        for row in range(rows)
        for column in range(columns)
    ]


def test_eight_huge_pictures_take_less_than_600_megabytes(huge: Path, tmp_path: Path) -> None:
    of = grid_of([huge] * 8, 0.4)
    assert 50 < peak_megabytes(of, tmp_path) < 600
    assert middles(tmp_path, of, 3, 3) == [RED] * 8 + [BLACK]


def test_a_file_that_says_it_is_small_takes_no_more(huge: Path, tmp_path: Path) -> None:
    content = huge.read_bytes()
    says = (8192).to_bytes(2, "big"), (4320).to_bytes(2, "big")
    assert content.count(b"\xb0\x82" + says[0]) == content.count(b"\xba\x82" + says[1]) == 1
    liar = tmp_path / "liar.webm"
    liar.write_bytes(
        content.replace(b"\xb0\x82" + says[0], b"\xb0\x82\x00\xa0").replace(b"\xba\x82" + says[1], b"\xba\x82\x00\x78")
    )
    facts = source_facts.look(str(liar))
    assert facts is not None and (facts.width, facts.height) == (160, 120)
    green = video(tmp_path / "green.webm", GREEN, 1)
    of = grid_of([liar, green, *[liar] * 6], 0.4)
    assert reduction.needed(of, picture_segments(of), {video.recording_id: facts for video in of.videos}) == []
    assert 50 < peak_megabytes(of, tmp_path) < 600
    assert middles(tmp_path, of, 3, 3) == [RED, GREEN, *[RED] * 6, BLACK]


def test_what_needs_too_much_memory_alone_is_noted_and_the_others_stay(tmp_path: Path) -> None:
    # Eight bytes for each pixel: one picture has 283 MB.
    source = ("-f", "lavfi", "-i", "color=c=red:s=8192x4320:r=5:d=0.4,format=rgba64be")
    ffmpeg(*source, "-c:v", "png", "-pred", "none", "-compression_level", "1", tmp_path / "deep.mkv")
    green = video(tmp_path / "green.webm", GREEN, 1)
    of = grid_of([tmp_path / "deep.mkv", green], 0.4)
    assert 50 < peak_megabytes(of, tmp_path) < 600
    assert middles(tmp_path, of, 2, 1)[1] == GREEN
    left_out = compose(of, tmp_path / "work", tmp_path / "composition.mp4", on_progress=lambda _: None).left_out
    assert left_out == ("00",)


def test_fifty_cameras_are_decoded_within_the_memory_of_one_child(tmp_path: Path) -> None:
    camera = video(tmp_path / "camera.webm", RED, 0.5, "1280x720")
    of = grid_of([camera] * 50, 0.4)
    facts = source_facts.look(str(camera))
    assert facts is not None
    reduced = reduction.needed(of, picture_segments(of), {video.recording_id: facts for video in of.videos})
    assert 20 < len(reduced) < 35
    assert 50 < peak_megabytes(of, tmp_path) < 600
    assert middles(tmp_path, of, 8, 7)[:50] == [RED] * 50


def test_a_camera_that_blinks_is_not_decoded_from_its_beginning_again_and_again(tmp_path: Path) -> None:
    """One keyframe, many segments: the recording is reduced once, with keyframes, and each picture keeps its time."""
    counter = encode(tmp_path / "counter.webm", COUNTER.format(secs=30))
    blinks = tuple((T0 + at, T0 + at + 1_000) for at in range(14_000, 30_000, 2_000))
    sources = [VideoSource("counter", T0, T0 + 30_000, blinks)]
    placements = plan((), sources, 320, 128, T0, T0 + 30_000)
    videos = (VideoFile("counter", str(counter), T0),)
    of = CompositionPlan(320, 128, T0, 30_000, placements, videos, (), False, "fast")
    facts = source_facts.look(str(counter))
    assert facts is not None and len(facts.keyframes_ms) == 1 and facts.pictures == 750
    assert reduction.needed(of, picture_segments(of), {"counter": facts}) == ["counter"]
    composed = compose(of, tmp_path / "work", tmp_path / "composition.mp4", on_progress=lambda _: None)
    assert composed.left_out == ()
    made = MediaFile(tmp_path / "composition.mp4").frames()
    at = [320 * (2 * block + 1) // 20 for block in range(10)]
    seen = [sum(1 << bit for bit, column in enumerate(at) if picture[64, column, 1] > 128) for picture in made]
    expected = [number if any(a <= T0 + 40 * number < b for a, b in blinks) else 0 for number in range(750)]
    assert seen == expected


def test_a_thousand_pictures_a_second_are_no_camera() -> None:
    of = grid_of([Path("fast.webm")], 3600)
    keyframes = array("q", [0])
    camera = SourceFacts(640, 480, 30 * 3600, HOUR_MS, keyframes)
    fast = SourceFacts(640, 480, 1000 * 3600, HOUR_MS, keyframes)
    # Segments of five minutes are decoded from the only keyframe each.
    many = SourceFacts(640, 480, 30 * 3600, HOUR_MS, array("q", range(0, HOUR_MS, 10_000)))
    segments = picture_segments(of)
    assert reduction.needed(of, segments, {"00": many}) == []
    assert reduction.needed(of, segments, {"00": fast}) == ["00"]
    assert reduction.needed(of, segments, {"00": camera}) == ["00"]


def test_what_making_recordings_small_may_cost_is_bounded_by_the_length() -> None:
    of = grid_of([Path("a.webm")], 100)
    long = SourceFacts(8192, 4320, 100, 1000 * HOUR_MS, array("q", [0]))
    assert reduction.cpu_secs(long, of, 0) == 600 + 10 * 100
    assert reduction.cpu_secs(long, of, 1600) == 0
    short = SourceFacts(8192, 4320, 100, 10_000, array("q", [0]))
    assert reduction.cpu_secs(short, of, 0) == 60 + 3 * 10


def test_cameras_that_blink_all_the_time_make_no_more_segments_than_its_length_has() -> None:
    blinking = tuple(
        Placement(f"{number}", at + 40 * number, at + 40 * number + 40, 0, 0, 64, 64, 0)
        for number in range(4)
        for at in range(0, HOUR_MS, 200)
    )
    videos = tuple(VideoFile(f"{number}", "camera.webm", T0) for number in range(4))
    of = CompositionPlan(64, 64, T0, HOUR_MS, blinking, videos)
    segments = picture_segments(of)
    assert len(segments) <= 1800 + 200 + 12
    assert sum(segment.frames for segment in segments) == of.frames
    assert [each.first_frame for each in segments[1:]] == [each.first_frame + each.frames for each in segments[:-1]]


def test_no_more_than_a_hundred_recordings_are_decoded_at_once() -> None:
    end = T0 + 1000
    sources = [VideoSource(f"{number:03}", T0, end, ((T0, end),)) for number in range(150)]
    videos = tuple(VideoFile(f"{number:03}", "camera.webm", T0) for number in range(150))
    of = CompositionPlan(1280, 720, T0, 1000, plan((), sources, 1280, 720, T0, end), videos)
    assert [len(commands.visible_inputs(of, segment)) for segment in picture_segments(of)] == [100]


def test_a_child_is_ended_at_its_limit_of_processor_time(tmp_path: Path) -> None:
    endless = ["-f", "lavfi", "-i", "mandelbrot=s=1280x720", "-c:v", "libx264", str(tmp_path / "out.mp4")]
    ended = running.run(endless, tmp_path, cpu_secs=1)
    assert ended.over_limit and ended.status < 0 and 0.5 < ended.cpu_secs < 30


def test_a_child_is_refused_more_memory_than_it_may_have(tmp_path: Path) -> None:
    code = f"bytearray({child_limits.MEMORY_BYTES})"
    command = [*child_limits.prefix(30), sys.executable, "-c"]
    assert subprocess.run([*command, "bytearray(100_000_000)"], check=False, capture_output=True).returncode == 0
    refused = subprocess.run([*command, code], check=False, capture_output=True, text=True)
    assert refused.returncode != 0 and "MemoryError" in refused.stderr


def test_parts_of_a_source_that_changes_its_size_are_made_small_alike(huge: Path, tmp_path: Path) -> None:
    small = video(tmp_path / "small.webm", GREEN, 0.6, "320x180", 5)
    (tmp_path / "huge.webm").symlink_to(huge)
    joined = together(tmp_path / "both.webm", tmp_path / "huge.webm", small)
    of = grid_of([joined] * 2, 1.2)
    composed = compose(of, tmp_path / "work", tmp_path / "composition.mp4", on_progress=lambda _: None)
    made = MediaFile(tmp_path / "composition.mp4")
    assert composed.left_out == ()
    for x in (160, 480):
        assert [seems(made.frame(frame), x, 180) for frame in (2, 10, 18, 28)] == [RED, RED, GREEN, GREEN]
