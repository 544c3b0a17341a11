"""What the converter and the composer report to the worker that started them: lines of JSON and an exit status.

The composer prints `Progress` any number of times and then a `ComposedFile`, the converter prints one `ConvertedFile`.
A program that fails prints a `Failure` instead and exits with another status than DONE.
"""

import sys
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class ExitStatus(IntEnum):
    """Exit statuses of both programs; 2 is argparse's, for a wrong command line."""

    DONE = 0
    FAILED = 1
    NO_MEDIA = 3
    """The mjr file has nothing that can be played."""
    DISK_FULL = 4
    TERMINATED = 143
    """Ended by SIGTERM in good order, as a shell reports it: 128 + 15."""


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """One track's media file: complete, checked and on the disk."""

    path: Path
    codec: str
    """"opus", "vp8", "vp9" or "h264"."""
    content_type: str
    started_at: datetime
    """When its first media was received, by the clock of the machine that Janus ran on."""
    ended_at: datetime
    size_bytes: int
    sha256: str
    """In hexadecimal."""
    packets: int
    """RTP packets received, without duplicates."""
    lost: int
    """RTP packets that never arrived."""
    complaint: str | None = None
    """A sentence that says what the file lacks of the recorded media; None when it lacks nothing."""


@dataclass(frozen=True, slots=True)
class ComposedFile:
    """One composition's MP4: complete and on the disk."""

    size_bytes: int
    sha256: str
    """In hexadecimal."""
    duration_ms: int
    left_out: tuple[str, ...] = ()
    """Ids of recordings that ffmpeg could not decode within its limits, at least from the start of one segment."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of the composition is made, from 0 to 1; never less than before."""

    progress: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no file."""

    error: str
    """A sentence."""


def print_line(message: ConvertedFile | ComposedFile | Progress | Failure) -> None:
    """Print a message as one line of JSON, at once."""
    sys.stdout.write(msgspec.json.encode(message, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def parse_line(line: bytes, kind: type[T]) -> T:
    """The message of a line. Raises msgspec.MsgspecError when it is of another kind, or none."""
    return msgspec.json.decode(line, type=kind, dec_hook=_from_text)


def _from_text(kind: type, value: Any) -> Any:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError
    return Path(value)
