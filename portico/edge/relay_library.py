"""Limits the relay to ports of media without root: by a library that coturn loads, relay_ports.c beside this file."""

import asyncio
import shutil
from pathlib import Path

from portico.edge.coturn_config import RelaySettings
from portico.runtime import child

INSTALLED = Path("/usr/local/lib/portico/relay-ports.so")
"""The path at which an image or an operator installs the built library, for machines without a compiler."""
SOURCE = Path(__file__).with_name("relay_ports.c")
_BUILD_SECS = 30.0


async def library(settings: RelaySettings) -> Path | str:
    """The path of the library, INSTALLED or compiled now on this machine; a clause that says why there is none."""
    if await asyncio.to_thread(INSTALLED.exists):
        return INSTALLED
    compiler = shutil.which("cc")
    if compiler is None:
        return f"there is neither a C compiler nor {INSTALLED}"
    target = settings.folder / INSTALLED.name
    await asyncio.to_thread(settings.folder.mkdir, parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(compiler, "-shared", "-fPIC", "-O2", "-o", str(target), str(SOURCE)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=child.environment(),
    )
    try:
        async with asyncio.timeout(_BUILD_SECS):
            _, errors = await process.communicate()
    except TimeoutError:
        return f"{compiler} does not end"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return f"{compiler} fails: {' '.join(errors.decode(errors='replace').split())[:300]}"
    await asyncio.to_thread(child.let_read, target)
    return target


def environment(path: Path, settings: RelaySettings) -> dict[str, str]:
    """The variables by which coturn loads the library with the ports of these settings."""
    relay, media = ("-".join(map(str, ports)) for ports in (settings.ports, settings.media_ports))
    return {"LD_PRELOAD": str(path), "RELAY_PORTS": relay, "MEDIA_PORTS": media}
