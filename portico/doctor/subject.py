"""The subject of an examination: the settings as `portico serve` uses them, and why it would refuse them."""

import os
from dataclasses import dataclass
from pathlib import Path

from portico.app.startup_checks import checked
from portico.config.settings import Settings, SettingsError
from portico.janus.errors import JanusUnavailable
from portico.runtime.child_process import ChildUnavailable


@dataclass(frozen=True)
class Subject:
    """The settings, with host names of media addresses resolved where `refusal` is None."""

    settings: Settings
    refusal: str | None = None
    """Why `portico serve` would not start with these settings."""

    @property
    def data_dir_owner(self) -> int | None:
        """The id of the user who owns DATA_DIR; None if that is this process's user, or if there is no DATA_DIR."""
        try:
            owner = self.settings.data_dir.stat().st_uid
        except OSError:
            return None
        return owner if owner != os.geteuid() else None

    @property
    def existing_folder(self) -> Path:
        """DATA_DIR, or the nearest folder above it that exists already."""
        folder = self.settings.data_dir.absolute()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return folder


def subject_of(settings: Settings) -> Subject:
    """Check the settings against the machine. Takes as long as the resolver, if they contain host names."""
    try:
        return Subject(checked(settings, is_running=running_pid(settings) is not None))
    except (SettingsError, JanusUnavailable, ChildUnavailable) as error:
        return Subject(settings, str(error))


def running_pid(settings: Settings) -> int | None:
    """The process of `portico serve` that holds DATA_DIR or its SQLite file; None when none does."""
    locked = settings.sqlite_file or settings.data_dir / "portico"
    try:
        pid = int(locked.with_name(f"{locked.name}.lock").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"portico" in command else None
