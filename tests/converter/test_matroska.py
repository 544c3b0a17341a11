"""ffmpeg reads the stream: times, keyframes, lengths and sizes are those that were written."""

from pathlib import Path

import pytest

from portico.converter.matroska import LONGEST_CLUSTER, Track, Writer
from tests.converter.mjr_files import Encoded, encode, ffprobe

TRACK = Track("V_VP8", 1_000_000, width=224, height=64)


@pytest.fixture(scope="module")
def encoded() -> Encoded:
    return encode("vp8", range(20), keyframe_every=10)


def written(path: Path, encoded: Encoded, times: list[int], last: int = 0) -> Path:
    writer = Writer(TRACK)
    parts = [writer.head()]
    for at, frame in zip(times, encoded.frames, strict=True):
        duration = last if at == times[-1] else 0
        parts += writer.block(at, frame, keyframe=not frame[0] & 1, duration=duration)
    path.write_bytes(b"".join([*parts, writer.flush()]))
    return path


def test_times_keyframes_and_the_last_length_are_kept(tmp_path: Path, encoded: Encoded) -> None:
    times = [number * number * 37 for number in range(20)]
    path = written(tmp_path / "a.mkv", encoded, times, last=1234)
    packets = ffprobe(path, "packet=pts_time,flags,duration_time")["packets"]
    assert [round(1000 * float(packet["pts_time"])) for packet in packets] == times
    assert [number for number, packet in enumerate(packets) if "K" in packet["flags"]] == [0, 10]
    assert float(packets[-1]["duration_time"]) == 1.234


def test_a_pause_longer_than_a_cluster_can_say_is_kept(tmp_path: Path, encoded: Encoded) -> None:
    times = [0, 1, LONGEST_CLUSTER, LONGEST_CLUSTER + 1, *(10_000_000 + number for number in range(16))]
    packets = ffprobe(written(tmp_path / "a.mkv", encoded, times), "packet=pts_time")["packets"]
    assert [round(1000 * float(packet["pts_time"])) for packet in packets] == times


@pytest.mark.parametrize("size", [0, 100, 126, 127, 16_382, 16_383, 2_097_151, 3_000_000])
def test_frames_of_every_size_come_back(tmp_path: Path, size: int, encoded: Encoded) -> None:
    frame = encoded.frames[0] + bytes(size)
    writer = Writer(TRACK)
    parts = [writer.head(), *writer.block(0, frame, keyframe=True, duration=0)]
    parts += [*writer.block(5, frame, keyframe=True, duration=7), writer.flush(), writer.flush()]
    path = tmp_path / "a.mkv"
    path.write_bytes(b"".join(parts))
    assert [int(packet["size"]) for packet in ffprobe(path, "packet=size")["packets"]] == [len(frame)] * 2


def test_the_track_is_described(tmp_path: Path, encoded: Encoded) -> None:
    path = written(tmp_path / "a.mkv", encoded, list(range(20)))
    (stream,) = ffprobe(path, "stream=codec_name,width,height")["streams"]
    assert stream == {"codec_name": "vp8", "width": 224, "height": 64}


def test_clusters_are_handed_out_while_the_stream_is_written() -> None:
    writer = Writer(TRACK)
    handed = sum(len(list(writer.block(at, bytes(10_000), keyframe=True, duration=0))) for at in range(1000))
    assert handed >= 8
