"""A network interface that lets media flow over loopback: Janus offers no candidate on `lo` itself."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

INTERFACES = Path("/sys/class/net")


@contextlib.contextmanager
def media_interface() -> Iterator[str | None]:
    """Yields the name of an interface that carries an address of 127.0.0.0/8, or None where the default has to do.

    Needs root on Linux. Every process has an interface of its own, so that test runs beside each other do not share
    one; a second call in a process returns the first one's, which the first caller removes.
    """
    name = f"ptest{os.getpid()}"
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        yield None
    elif (INTERFACES / name).exists():
        yield name
    elif not _made(name):
        yield None
    else:
        try:
            yield name
        finally:
            _ip("link", "delete", name)


def _made(name: str) -> bool:
    """False where the kernel refuses: a container without CAP_NET_ADMIN is root in name only."""
    _remove_leftovers()
    pid = os.getpid()
    address = f"127.{1 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}/32"
    return (
        _ip("link", "add", name, "type", "veth", "peer", "name", f"{name}x")
        and _ip("address", "add", address, "dev", name)
        and _ip("link", "set", name, "up")
        and _ip("link", "set", f"{name}x", "up")
    )


def _remove_leftovers() -> None:
    """Removes what killed test runs could not remove themselves."""
    for interface in INTERFACES.iterdir():
        owner = re.fullmatch(r"ptest(\d+)", interface.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            _ip("link", "delete", interface.name)


def _ip(*command: str) -> bool:
    return subprocess.run(["ip", *command], check=False, capture_output=True, timeout=10).returncode == 0


@contextlib.contextmanager
def lost_media(interface: str) -> Iterator[None]:
    """Lets no packet reach the address of a media_interface until the block ends; everything else works on."""
    addresses = subprocess.run(
        ["ip", "-4", "-o", "address", "show", interface], check=True, capture_output=True, text=True
    )
    found = re.search(r"inet ([\d.]+)", addresses.stdout)
    assert found, addresses.stdout
    local = ("route", "{}", "local", found[1], "dev", interface, "table", "local")
    blackhole = ("route", "{}", "blackhole", found[1], "table", "local")

    def route(what: str, words: tuple[str, ...]) -> None:
        assert _ip(*(word.format(what) for word in words)), f"ip cannot {what} {words}"

    route("del", local)
    route("add", blackhole)
    try:
        yield
    finally:
        route("del", blackhole)
        route("add", local)
