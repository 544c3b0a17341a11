"""Writes that survive a crash of the machine."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush the content of a file, or the names in a folder, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Make `path` a file with this content, instead of any other: after a crash it is there whole or not at all.

    `mode` is that of a new file, less the umask. Raises OSError.
    """
    temporary = _temporary_of(path)
    try:
        _write_temporary(temporary, content, mode=mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def rename(made: Path, path: Path) -> None:
    """Give the file `made` the name `path`, instead of any other file; its content is flushed first. Raises OSError."""
    sync(made)
    made.replace(path)
    sync(path.parent)


def create(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """As `write`, for a new file: raises FileExistsError if `path` exists, also if another process just made it."""
    temporary = _temporary_of(path)
    try:
        _write_temporary(temporary, content, mode=mode)
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def _temporary_of(path: Path) -> Path:
    """The path at which this process writes the file until it is complete and renamed."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def _write_temporary(path: Path, content: bytes, *, mode: int) -> None:
    """Write the file and flush it to the disk; its name is not flushed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
