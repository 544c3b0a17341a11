"""What runs on the machines of the lab: servers, a customer's site, and browsers with names of their own."""

import asyncio
import contextlib
import shlex
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.e2e.browser import FLAGS, installed_chromium
from tests.e2e.page_server import page_server
from tests.namespaces import Namespace
from tests.networks.lab import INSIDE_PUBLIC, SERVER, SERVER_6
from tests.servers import PorticoServer

UNRESOLVED = "stun.l.google.com"
"""A name that the SDK uses and the lab does not know."""
INSECURE = [f"http://{host}" for host in (SERVER, INSIDE_PUBLIC, f"[{SERVER_6}]")]
"""Origins without TLS, from which a page may use the camera here."""
_FLAGS = [flag for flag in FLAGS if not flag.startswith("--host-resolver-rules=")]


@contextlib.contextmanager
def serving(machine: Namespace, data_dir: Path, **settings: str) -> Iterator[PorticoServer]:
    """A server on that machine, at port 80 too; the test reaches it at 127.0.0.1 and the same port as usual."""
    server = PorticoServer(data_dir, prefix=machine.prefix, **settings)
    machine.nft(
        "table inet door {\nchain arrive {\ntype nat hook prerouting priority dstnat;\n"
        f"tcp dport 80 redirect to :{server.port}\n}}\n}}"
    )
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


def launcher(machine: Namespace, program: str, folder: Path, hosts: Mapping[str, list[str]]) -> Path:
    """A script that starts a program on that machine, where these names have these addresses and no others have any."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{address} {name}" for name, addresses in hosts.items() for address in addresses]
    (folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names, ""]))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # where no program answers
    mounts = "".join(
        f"mount --bind {shlex.quote(str(folder / name))} /etc/{name} && " for name in ("hosts", "resolv.conf")
    )
    script = folder / "launch"
    inner = f'{mounts}exec {shlex.quote(program)} "$@"'
    enter = shlex.join([*map(str, machine.prefix), "unshare", "--mount", "sh", "-c", inner, "sh"])
    script.write_text(f'#!/bin/sh\nexec {enter} "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.asynccontextmanager
async def chromium_on(
    machine: Namespace, folder: Path, hosts: Mapping[str, list[str]], *flags: str
) -> AsyncIterator[Browser]:
    """A Chromium on that machine, with these names of hosts."""
    async with async_playwright() as playwright:
        program = installed_chromium() or playwright.chromium.executable_path
        browser = await playwright.chromium.launch(
            executable_path=launcher(machine, program, folder, hosts),
            args=[
                *_FLAGS,
                f"--host-resolver-rules=MAP {UNRESOLVED} ~NOTFOUND",
                f"--unsafely-treat-insecure-origin-as-secure={','.join(INSECURE)}",
                *flags,
            ],
        )
        try:
            yield browser
        finally:
            await browser.close()
