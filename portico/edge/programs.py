"""Finds the installed programs that stand in front of the server."""

import os
import shutil
from pathlib import Path

from portico.runtime.child_process import ChildUnavailable


def find(name: str, *, package: str | None = None, needed_by: str = "PORTICO_DOMAIN") -> Path:
    """The program on PATH or in /usr/sbin, which a user's PATH may lack. Raises ChildUnavailable.

    `package` is the name of Debian's package where it differs.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise ChildUnavailable(
            f"{name} is not installed, and {needed_by} needs it: start with script/server, or "
            f"install Debian's package {package or name} and disable its service."
        )
    return Path(found)
