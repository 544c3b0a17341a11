"""Starts a child Janus: prepares its folders, writes its configuration, starts its process and connects to it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from portico.janus.config import JanusSecrets, JanusSettings, find_janus, program_files, write_config
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink
from portico.runtime import child
from portico.runtime.child import Confinement
from portico.runtime.child_process import ChildProcess, ChildUnavailable, accepts, free_port

START_DEADLINE = 10.0
"""Seconds from the start of Janus to its first answer."""


@dataclass(frozen=True, slots=True)
class ChildJanus:
    """A started Janus that answers."""

    process: ChildProcess
    url: str
    """The ws:// address of its API."""
    admin_url: str
    """The ws:// address of its Admin API."""
    link: JanusLink
    admin: JanusLink


async def start_child(settings: JanusSettings, secrets: JanusSecrets, events_url: str | None) -> ChildJanus:
    """Start Janus and connect to its API and its Admin API. Raises JanusUnavailable, and then no process is left.

    `events_url` is the ws:// address that its event handler connects to; None: no events.
    """
    binary = find_janus(settings.binary)
    address, admin_port = settings.listen or ("127.0.0.1", free_port()), free_port()
    write_config(settings, secrets, binary, address, events_url, admin_port=admin_port)
    rules = await asyncio.to_thread(let_janus_in, settings, binary)
    process = await spawn(binary, settings.folder, rules)
    try:
        return await _connect(process, binary, secrets, address, admin_port)
    except BaseException:
        await process.kill()
        raise


async def spawn(binary: Path, folder: Path, rules: Confinement) -> ChildProcess:
    """Start Janus with the configuration in `folder`. It does not listen yet when this returns."""
    try:
        return await ChildProcess.spawn(
            "janus", [str(binary), f"--config={folder / 'janus.jcfg'}", mark(folder)], folder, rules
        )
    except ChildUnavailable as error:
        raise JanusUnavailable(str(error)) from error


def mark(folder: Path) -> str:
    """The argument that distinguishes a Janus of this folder from all others in /proc."""
    return f"--configs-folder={folder}"


async def _connect(
    process: ChildProcess, binary: Path, secrets: JanusSecrets, address: tuple[str, int], admin_port: int
) -> ChildJanus:
    host, port = address
    url = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
    try:
        async with asyncio.timeout(START_DEADLINE):
            while not process.has_ended:
                if await accepts(port, host) and await accepts(admin_port):
                    admin_url = f"ws://127.0.0.1:{admin_port}"
                    admin = await JanusLink.open_admin(admin_url, secrets.admin_secret, deadline=START_DEADLINE)
                    try:
                        return ChildJanus(process, url, admin_url, await open_link(url, secrets.api_secret), admin)
                    except BaseException:
                        await admin.close()
                        raise
                await asyncio.sleep(0.01)
    except (TimeoutError, JanusUnavailable) as error:
        if not process.has_ended:
            raise JanusUnavailable(f"{binary} does not answer{process.quote()}.") from error
    raise JanusUnavailable(f"{binary} {await process.wait()}{process.quote()}.")


async def open_link(url: str, secret: str | None) -> JanusLink:
    """Connect to the API of a Janus within START_DEADLINE. Raises JanusUnavailable."""
    try:
        return await JanusLink.open(url, secret, deadline=START_DEADLINE)
    except JanusError as error:
        raise JanusUnavailable(f"Janus on {url} refuses us: {error.reason} ({error.code}).") from error


def let_janus_in(settings: JanusSettings, binary: Path) -> Confinement:
    """Let Janus read its configuration and create mjr files; it can neither change nor move other files there."""
    for path in (settings.folder, *settings.folder.glob("*.jcfg")):
        child.let_read(path)
    # Made before Janus starts: Janus could put a link of this name there, and we would move files to its target.
    (settings.mjr_folder / "failed").mkdir(parents=True, exist_ok=True)
    child.share(settings.mjr_folder)
    return Confinement(
        write=[settings.mjr_folder], read=[settings.folder, *program_files(binary)], hide=[settings.data_dir.absolute()]
    )


def private_folder(data_dir: Path) -> Path:
    """Make the folder of Janus' files, which have secrets; only our user may enter it. Raises JanusUnavailable."""
    folder = JanusSettings(data_dir).folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise JanusUnavailable(f"{folder} cannot be written: {error.strerror}.") from error
    return folder
