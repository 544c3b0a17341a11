"""Runs Caddy as a supervised child process."""

import asyncio
import json

from portico.edge.answers import answers
from portico.edge.caddy_config import caddy_config
from portico.edge.config import EdgeSettings, storage
from portico.edge.programs import find
from portico.runtime import child, durable
from portico.runtime.child import Confinement
from portico.runtime.supervised import Program, Supervised


def make_caddy(settings: EdgeSettings) -> Supervised:
    """Make the child process of Caddy, not started. Raises ChildUnavailable where Caddy is not installed."""
    folder = settings.folder / "caddy"
    binary = find("caddy")

    def prepare() -> Program:
        file = folder / "caddy.json"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        storage(settings).mkdir(parents=True, exist_ok=True)
        durable.write(file, json.dumps(caddy_config(settings), indent=1).encode(), mode=0o600)
        for path in (folder, file):
            child.let_read(path)
        child.give(storage(settings))
        rules = Confinement(
            write=[storage(settings)],
            read=[folder, binary],
            hide=[settings.data_dir.absolute()],
            low_ports=min(settings.http_port, settings.https_port) < 1024,
        )
        home = str(storage(settings))
        environment = {"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
        return Program([str(binary), "run", "--config", str(file)], str(file), rules, environment)

    async def check() -> str | None:
        return await answers(settings, http=True, https=not settings.uses_haproxy)

    return Supervised(
        "caddy",
        folder,
        lambda: asyncio.to_thread(prepare),
        check,
        version_command=[str(binary), "version"],
    )
