"""Converts one mjr file of Janus to one media file: `python -m portico.converter.convert MJR OUT_DIR`.

Prints a `ConvertedFile` or a `Failure` and exits with an `ExitStatus` (runtime/child_messages.py). The media is never
encoded again: ffmpeg only writes the container.
"""

import argparse
import contextlib
import errno
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from portico.converter import mp4, tracks
from portico.converter.mjr import MjrHeader, NotMjr, Packet, packets, read_header
from portico.runtime import child_limits, durable
from portico.runtime.child_messages import ConvertedFile, ExitStatus, Failure, print_line

LARGEST_ERROR_MS = 100
"""A file whose duration differs by more from that of the media written into it is refused (see `salvage`)."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PROBE_SECS = 300
"""Deadline of ffprobe, which reads the whole file on a busy machine."""
_QUOTED_BYTES = 1000
"""How much of ffmpeg's standard error an error message quotes from its beginning, and as much from its end."""
_DEADLINE_SECS, _DEADLINE_BYTES_PER_SEC = 300, 1 << 17
"""ffmpeg's deadline: so long, and a second for each of so many bytes of the mjr file."""


@dataclass(frozen=True)
class _Container:
    ending: str
    content_type: str
    options: tuple[str, ...]


# WebRTC sends no B-frames, so each frame is decoded when it is shown. Without the filter ffmpeg guesses decoding times.
_MP4 = ("-bsf:v", "setts=dts=PTS", "-f", "mp4", "-movflags", "+faststart")
_WEBM = _Container("webm", "video/webm", ("-f", "webm", "-cues_to_front", "1"))
_CONTAINERS = {
    "opus": _Container("ogg", "audio/ogg", ("-copyts", "-avoid_negative_ts", "disabled", "-f", "ogg")),
    "vp8": _WEBM,
    "vp9": _WEBM,
    "h264": _Container("mp4", "video/mp4", _MP4),
}
# ffmpeg writes neither its version nor random ids: the same mjr file always gives the same bytes.
_EXACT = ("-fflags", "+bitexact", "-flags", "+bitexact")
# Our Matroska stream announces all that the container needs. ffmpeg must not probe the stream: it would announce the
# size of the first picture, and a browser begins with a small one.
_INPUT = ("-nofind_stream_info", "-f", "matroska", "-i", "pipe:0")
_COPY = ("-nostdin", "-v", "error", *_INPUT, "-map", "0:0", "-c", "copy", *_EXACT)
_TYPES = {"opus": "audio", "vp8": "video", "vp9": "video", "h264": "video"}


class NoMedia(Exception):
    """The mjr file has no packet or frame that can be played; str() is its name."""


class CannotConvert(Exception):
    """The mjr file cannot be converted; str() is a sentence that says why."""


class DiskFull(CannotConvert):
    """The disk is full: the same conversion may succeed later."""


def convert(mjr: Path, out_dir: Path, *, not_before_ms: int | None = None, salvage: bool = False) -> ConvertedFile:
    """Write OUT_DIR/<name of the mjr file>.<ogg|webm|mp4>; the same mjr file always gives the same bytes.

    `not_before_ms` (Unix time) leaves out earlier media; a video then begins with the first keyframe after it, or with
    the last one before it if none comes within tracks.LATEST_KEYFRAME_MS. `out_dir` must exist; a file of that name is
    replaced. A process that is killed leaves a folder `.convert-*` in it. With `salvage`, a file that is shorter than
    the media written into it is accepted: then `complaint` says so, and `ended_at` is the end of the playable part.
    Raises NoMedia or CannotConvert (DiskFull is one of them); then there is no file.
    """
    with mjr.open("rb") as file:
        try:
            header = read_header(file)
        except NotMjr as error:
            raise CannotConvert(f"{mjr.name}: {error}") from error
        if header is None:
            raise NoMedia(mjr.name)
        container = _container(header)
        first = file.tell()

        def from_first() -> Iterator[Packet]:
            file.seek(first)
            return packets(file)

        span = tracks.Span()
        earliest = -math.inf if not_before_ms is None else not_before_ms - header.first_packet_us / 1000
        if header.type == "audio":
            stream = tracks.audio(from_first, earliest, span)
        else:
            stream = tracks.video(from_first, header.codec, earliest, span)
        path = out_dir / f"{_stem(mjr)}.{container.ending}"
        with tempfile.TemporaryDirectory(prefix=".convert-", dir=out_dir) as folder:
            unchecked = Path(folder) / path.name
            _mux(stream, container, unchecked, _deadline_secs(mjr))
            if len(span.descriptions) > 1:
                unchecked = _described(unchecked, span)
            complaint = _check(unchecked, header.codec, span)
            if complaint is not None and not salvage:
                raise CannotConvert(complaint)
            sha256 = _settle(unchecked, path)
    return _converted_file(path, header, container, span, sha256, complaint)


def _container(header: MjrHeader) -> _Container:
    if _TYPES.get(header.codec) != header.type:
        raise CannotConvert(
            f"A track of {header.type} in {header.codec} cannot be converted: only Opus, VP8, VP9, H.264."
        )
    return _CONTAINERS[header.codec]


def _stem(mjr: Path) -> str:
    return mjr.name.removesuffix(".tmp").removesuffix(".mjr")


def _deadline_secs(mjr: Path) -> float:
    return _DEADLINE_SECS + mjr.stat().st_size / _DEADLINE_BYTES_PER_SEC


def _described(muxed: Path, span: tracks.Span) -> Path:
    """A copy of an MP4 of H.264 with a sample description for each size in it; ffmpeg writes only the first."""
    described = muxed.with_suffix(".described.mp4")
    try:
        with muxed.open("rb") as file:
            mp4.describe(file, described, span.descriptions)
    except mp4.NotAnMp4 as error:
        raise CannotConvert(f"ffmpeg's {muxed.name} was not understood: {error}") from error
    return described


def _mux(stream: Iterator[bytes], container: _Container, path: Path, deadline_secs: float) -> None:
    """Let ffmpeg write the Matroska stream into the container; it is killed after `deadline_secs`."""
    head = next(stream, None)
    if not head:
        raise NoMedia(path.name)
    command = ["ffmpeg", *_COPY, *container.options, str(path)]
    # Standard error goes to a file: this process writes to ffmpeg's input and cannot read a pipe at the same time. The
    # file is in memory because the disk may be full.
    with os.fdopen(os.memfd_create("stderr"), "w+b") as errors, _started(command, errors.fileno()) as process:
        killer = threading.Timer(deadline_secs, process.kill)
        killer.start()
        try:
            assert process.stdin is not None
            # A broken pipe means that ffmpeg has ended: its exit status and standard error say why.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(head)
                for chunk in stream:
                    process.stdin.write(chunk)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            killer.cancel()
        _raise_for_status(status, _quoted(errors), path.name)


def _quoted(errors: IO[bytes]) -> str:
    """The beginning and the end of ffmpeg's standard error, _QUOTED_BYTES each, in one line."""
    length = errors.seek(0, os.SEEK_END)
    errors.seek(0)
    beginning = errors.read(_QUOTED_BYTES)
    errors.seek(max(length - _QUOTED_BYTES, len(beginning)))
    return (beginning + errors.read()).decode(errors="replace").strip().replace("\n", "; ")


def _raise_for_status(status: int, errors: str, name: str) -> None:
    # ffmpeg exits with 0 even if the disk was full when it wrote the end of the file.
    if any(os.strerror(number) in errors for number in _FULL):
        raise DiskFull(f"There is no room on the disk for {name}: {errors}.")
    if status:
        raise CannotConvert(f"ffmpeg wrote no {name} (status {status}): {errors or 'it took too long'}.")


def _started(command: list[str], stderr: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr)
    except FileNotFoundError as error:
        raise CannotConvert("ffmpeg is not installed: run script/setup, or install Debian's package ffmpeg.") from error


def _check(path: Path, codec: str, span: tracks.Span) -> str | None:
    """None if the file lasts as long as its media; else a sentence that says how it differs, and `span.end_ms` is cut.

    Raises CannotConvert when it has not exactly one track, of this codec.
    """
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "format=duration:stream=codec_name", str(path)]
    try:
        probe = subprocess.run(command, capture_output=True, check=True, timeout=_PROBE_SECS)
        found = json.loads(probe.stdout)
        codecs = [stream["codec_name"] for stream in found["streams"]]
        duration_ms = 1000 * float(found["format"]["duration"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise CannotConvert(f"ffprobe could not read the converted {path.name}: {error}") from error
    expected_ms = span.end_ms - span.start_ms
    difference = f"{codecs} of {duration_ms:.0f} ms, where {codec} of {expected_ms:.0f} ms was written"
    if codecs != [codec]:
        raise CannotConvert(f"{path.name} has {difference}.")
    if abs(duration_ms - expected_ms) <= LARGEST_ERROR_MS:
        return None
    span.end_ms = span.start_ms + duration_ms
    return f"{path.name} has {difference}."


def _settle(unchecked: Path, path: Path) -> str:
    """Give the checked file its name; it is on the disk when this returns. Returns its SHA-256 in hexadecimal."""
    with unchecked.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    durable.rename(unchecked, path)
    return sha256


def _converted_file(
    path: Path, header: MjrHeader, container: _Container, span: tracks.Span, sha256: str, complaint: str | None
) -> ConvertedFile:
    first_packet_at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=header.first_packet_us)
    return ConvertedFile(
        path=path,
        codec=header.codec,
        content_type=container.content_type,
        started_at=first_packet_at + timedelta(milliseconds=span.start_ms),
        ended_at=first_packet_at + timedelta(milliseconds=span.end_ms),
        size_bytes=path.stat().st_size,
        sha256=sha256,
        packets=span.tally.packets,
        lost=span.tally.lost,
        complaint=complaint,
    )


def main() -> int:
    """Convert what the command line names, print the outcome, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m portico.converter.convert", description=__doc__)
    parser.add_argument("mjr", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--not-before-ms", type=int, metavar="UNIX_MS", help="leave out media from before this time")
    parser.add_argument("--salvage", action="store_true", help="accept a file that is shorter than the recorded media")
    arguments = parser.parse_args()
    child_limits.limit_own_memory()
    try:
        converted = convert(
            arguments.mjr, arguments.out_dir, not_before_ms=arguments.not_before_ms, salvage=arguments.salvage
        )
    except NoMedia:
        print_line(Failure("no media"))
        return ExitStatus.NO_MEDIA
    except (CannotConvert, OSError) as error:
        print_line(Failure(str(error)))
        full = isinstance(error, DiskFull) or getattr(error, "errno", None) in _FULL
        return ExitStatus.DISK_FULL if full else ExitStatus.FAILED
    print_line(converted)
    return ExitStatus.DONE


if __name__ == "__main__":
    sys.exit(main())
