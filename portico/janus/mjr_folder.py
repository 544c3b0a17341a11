"""The folder that Janus writes mjr files into, and the id of this node among several servers."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from portico.runtime import durable

FOLDER_NAME = "dumps"
"""Within DATA_DIR. Older releases use the same name: mjr files that wait for their conversion survive an update."""
_ID_FILE = "place"  # as older releases name it
_ID_LENGTH = 8


@dataclass(frozen=True, slots=True)
class MjrFolder:
    """Where this node's mjr files are. Every mjr name begins with `node_id`: only this node can convert them."""

    path: Path
    node_id: str
    """8 hexadecimal digits."""


def open_mjr_folder(data_dir: Path) -> MjrFolder:
    """Create the folder and the node's id in `data_dir` where they are missing; the id never changes afterwards."""
    path, id_file = data_dir / FOLDER_NAME, data_dir / _ID_FILE
    path.mkdir(parents=True, exist_ok=True)
    if not id_file.exists() or not id_file.read_text().strip():
        # If a crash of the machine lost the id, no node would convert the mjr files that carry it.
        durable.write(id_file, secrets.token_hex(_ID_LENGTH // 2).encode())
    return MjrFolder(path, id_file.read_text().strip()[:_ID_LENGTH])
