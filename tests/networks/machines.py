"""Runs programs on the machines of the lab: servers, a customer's site, and browsers with names of their own."""

import asyncio
import contextlib
import shlex
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.e2e.browser import FLAGS, installed_chromium
from tests.e2e.page_server import page_server
from tests.namespaces import Namespace, command
from tests.servers import PorticoServer

UNRESOLVED = "stun.l.google.com"
"""A name that the SDK uses and the lab does not know."""
_FLAGS = [flag for flag in FLAGS if not flag.startswith("--host-resolver-rules=")]
Hosts = Mapping[str, Sequence[str]]
"""Addresses by name."""


def with_names(machine: Namespace, folder: Path, hosts: Hosts) -> tuple[str, ...]:
    """A command that becomes another one on that machine, where these names have addresses and no others have any."""
    folder.mkdir(parents=True, exist_ok=True)
    # For UDP, Chromium asks for the absolute name, with a dot at the end.
    names = [f"{address} {name} {name}." for name, addresses in hosts.items() for address in addresses]
    (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names, ""]))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # where no program answers
    mounts = [f"mount --bind {shlex.quote(str(folder / name))} /etc/{name}" for name in ("hosts", "resolv.conf")]
    inner = " && ".join([*mounts, 'exec "$@"'])
    return (*map(str, machine.prefix), "unshare", "--mount", "sh", "-c", inner, "sh")


@contextlib.contextmanager
def serving(machine: Namespace, folder: Path, hosts: Hosts | None = None, **settings: str) -> Iterator[PorticoServer]:
    """A server on that machine, which the test reaches at 127.0.0.1 and the same port as usual."""
    server = PorticoServer(folder / "data", prefix=with_names(machine, folder / "names", hosts or {}), **settings)
    with door(machine, server.port), server:
        yield server


@contextlib.contextmanager
def door(machine: Namespace, port: int) -> Iterator[None]:
    """Forward connections to this machine's 127.0.0.1:`port` to the same address and port of another machine."""
    listening = socket.create_server(("127.0.0.1", port))
    ended = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # as long as no server listens there
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        server = await asyncio.start_server(forward, sock=listening)
        await ended.wait()
        server.close()

    thread = threading.Thread(target=machine.run, args=(serve,), name="door")
    thread.start()
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join(timeout=10)


@contextlib.contextmanager
def site_on(machine: Namespace) -> Iterator[str]:
    """The origin of a customer's site at a loopback address of that machine, which browsers consider secure."""
    with contextlib.ExitStack() as stack:
        yield machine.call(lambda: stack.enter_context(page_server()))


@contextlib.asynccontextmanager
async def chromium_on(
    machine: Namespace, folder: Path, hosts: Hosts, *flags: str, authority: Path | None = None
) -> AsyncIterator[Browser]:
    """A Chromium on that machine that knows these names, and trusts this authority as a company's."""
    async with async_playwright() as playwright:
        program = installed_chromium() or playwright.chromium.executable_path
        script = folder / "chromium"
        words = shlex.join([*with_names(machine, folder, hosts), program])
        script.write_text(f'#!/bin/sh\nHOME={shlex.quote(str(folder))} exec {words} "$@"\n')
        script.chmod(0o755)
        if authority is not None:
            trust(folder / ".pki" / "nssdb", authority)
        browser = await playwright.chromium.launch(
            executable_path=script,
            args=[*_FLAGS, f"--host-resolver-rules=MAP {UNRESOLVED} ~NOTFOUND", *flags],
        )
        try:
            yield browser
        finally:
            await browser.close()


def trust(database: Path, authority: Path) -> None:
    """Make a certificate database in which that authority is trusted for TLS; Chromium uses it for TURN as well."""
    database.mkdir(parents=True)
    command("certutil", "-N", "-d", f"sql:{database}", "--empty-password")
    command("certutil", "-A", "-d", f"sql:{database}", "-n", "lab", "-t", "C,,", "-i", str(authority))
