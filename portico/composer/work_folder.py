"""The work folder of a composition: its parts are made once and survive interruptions."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from portico.runtime import durable

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Step:
    """A command that makes one file of the work folder, and how long the part in it is."""

    file: str
    arguments: tuple[str, ...]
    """ffmpeg's, without the output's name."""
    length_us: int
    """In microseconds of the composition."""
    frames: int | None = None
    """The number of pictures that the file must have; None for sound."""

    @property
    def mark(self) -> str:
        """A digest of the arguments: a file that was made with the same mark need not be made again."""
        return hashlib.sha256("\0".join(self.arguments).encode(errors="surrogateescape")).hexdigest()


class WorkFolder:
    """The finished parts. A part counts only once the manifest names it, which happens when the part is on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._finished: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            self._finished = msgspec.json.decode((path / _MANIFEST).read_bytes(), type=dict[str, str])

    def has(self, step: Step) -> bool:
        """Whether the file of this step is finished, and was made by the same command."""
        return self._finished.get(step.file) == step.mark and (self.path / step.file).exists()

    def keep(self, step: Step, made: Path) -> None:
        """Make the file `made` the finished file of this step; it is on the disk when this returns."""
        durable.rename(made, self.path / step.file)
        self._finished[step.file] = step.mark
        self.write(_MANIFEST, json.dumps(self._finished))

    def write(self, name: str, text: str) -> None:
        """Write a small file of the folder; after a crash it has the old text or the new one."""
        durable.write(self.path / name, text.encode(errors="replace"))


def size_and_sha256(path: Path) -> tuple[int, str]:
    """The length of a file in bytes and its SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()
