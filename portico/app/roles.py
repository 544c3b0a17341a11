"""The roles of a process: `portico serve` has all of them, `portico api`, `worker` and `media` one each."""

from typing import Literal

from portico.config.settings import Settings, SettingsError

ProcessRole = Literal["api", "worker", "media"]
"""REST, signaling and pages; webhooks, compositions and deletions; a Janus with its agent, and its recordings."""
Roles = frozenset[ProcessRole]
ALL_ROLES: Roles = frozenset({"api", "worker", "media"})


def check_roles(settings: Settings, roles: Roles) -> None:
    """Refuse single roles without PostgreSQL and a store that their processes share. Raises SettingsError."""
    if roles == ALL_ROLES:
        return
    (role,) = roles
    if settings.sqlite_file is not None:
        raise SettingsError(
            f"PORTICO_DATABASE_URL: portico {role} shares its database with other processes; set postgresql://..."
        )
    if settings.storage_url is None:
        raise SettingsError(
            f"PORTICO_STORAGE_URL: portico {role} shares its files with other processes; set s3://BUCKET/PREFIX"
        )
