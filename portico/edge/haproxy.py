"""Runs HAProxy as a supervised child process, and replaces its certificate while connections stay open."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from portico.edge.answers import answers
from portico.edge.config import EdgeSettings, bundle, bundles
from portico.edge.haproxy_config import SOCKET, haproxy_config
from portico.edge.programs import find
from portico.runtime import child, durable
from portico.runtime.child import Confinement
from portico.runtime.supervised import Program, Supervised

log = structlog.get_logger(__name__)

_COMMAND_SECS = 5.0
_ANSWER_BYTES_MAX = 65_536


def make_haproxy(settings: EdgeSettings) -> Supervised:
    """Make the child process of HAProxy, not started. Raises ChildUnavailable where HAProxy is not installed."""
    folder = settings.folder / "haproxy"
    binary = find("haproxy")

    def prepare() -> Program:
        file = folder / "haproxy.cfg"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        sockets = _sockets(settings)
        sockets.mkdir(exist_ok=True)
        config = haproxy_config(settings, dual_stack=Path("/proc/net/if_inet6").exists())
        durable.write(file, config.encode(), mode=0o600)
        for path in (folder, file):
            child.let_read(path)
        child.give(sockets)
        rules = Confinement(
            write=[sockets],
            read=[folder, binary, bundles(settings.data_dir)],
            hide=[settings.data_dir.absolute()],
            low_ports=min(settings.http_port, settings.https_port) < 1024,
        )
        return Program([str(binary), "-db", "-C", str(sockets), "-f", str(file)], str(file), rules)

    async def check() -> str | None:
        return await answers(settings, http=not settings.uses_caddy, https=True)

    return Supervised("haproxy", folder, lambda: asyncio.to_thread(prepare), check, version_command=[str(binary), "-v"])


async def use_certificate(settings: EdgeSettings, name: str, path: Path) -> None:
    """Make HAProxy use a new bundle for new connections. If it is down, it reads the bundle when it starts."""
    if path != bundle(settings.data_dir, settings.domain):
        return
    pem = (await asyncio.to_thread(path.read_text)).strip()
    try:
        # The payload of a command ends with an empty line.
        await _command(settings, f"set ssl cert {path} <<\n{pem}\n\n")
        answer = await _command(settings, f"commit ssl cert {path}\n")
    except (OSError, TimeoutError) as error:
        log.warning("haproxy.certificate_not_set", name=name, why=str(error) or "no answer")
        return
    if "Success" not in answer:
        log.warning("haproxy.certificate_not_set", name=name, why=" ".join(answer.split()))


def _sockets(settings: EdgeSettings) -> Path:
    return settings.folder / "haproxy" / "run"


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """A short path that leads to the folder: the path of a unix socket has at most 107 bytes."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{opened}")
    finally:
        os.close(opened)


async def _command(settings: EdgeSettings, text: str) -> str:
    async with asyncio.timeout(_COMMAND_SECS):
        with _short(_sockets(settings)) as folder:
            reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
        try:
            writer.write(text.encode())
            await writer.drain()
            return (await reader.read(_ANSWER_BYTES_MAX)).decode(errors="replace")
        finally:
            writer.close()
