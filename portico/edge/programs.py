"""Where the programs in front are installed."""

import os
import shutil
from pathlib import Path

from portico.runtime.child_process import ChildUnavailable


def find(name: str) -> Path:
    """The program on PATH or in /usr/sbin, which a user's PATH may lack. Raises ChildUnavailable."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise ChildUnavailable(
            f"{name} is not installed, and PORTICO_DOMAIN needs it: start with script/server, or install Debian's "
            f"package {name} and disable its service."
        )
    return Path(found)
