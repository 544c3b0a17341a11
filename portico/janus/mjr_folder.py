"""The folder that Janus dumps into, and its name among those of several servers."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from portico.storage.store import sync

_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Dumps:
    """`place` begins the names of all dumps in `folder`: only where they are they can be made into files."""

    folder: Path
    place: str


def dumps_in(data_dir: Path) -> Dumps:
    """The folder within this one; its name is made at the first start and stays."""
    folder, named = data_dir / "dumps", data_dir / "place"
    folder.mkdir(parents=True, exist_ok=True)
    if not named.exists() or not named.read_text().strip():
        temporary = data_dir / f"place.{os.getpid()}"
        temporary.write_text(secrets.token_hex(_LENGTH // 2))
        sync(temporary)  # with another name after a crash of the machine, nobody would finish what is in the folder
        temporary.replace(named)
        sync(data_dir)
    return Dumps(folder, named.read_text().strip()[:_LENGTH])
