"""A network of two machines and a router between them, which drops UDP when a test says so, while TCP goes on.

This machine is the one; the other and the router are network namespaces that the test makes.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

_CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")


class Network:
    """`server_address` is this machine's; what `run` runs is on the other one."""

    def __init__(self, name: str, server_address: str) -> None:
        self.interface = name
        """This machine's interface, which Janus offers."""
        self.server_address = server_address
        self._name = name

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Runs a coroutine with an event loop of its own whose sockets are on the other side; waits for its result."""
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def inside() -> None:
            try:
                with (NAMESPACES / f"{self._name}c").open() as handle:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(handle.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result.set_result(asyncio.run(work()))  # type: ignore[arg-type]
            except BaseException as error:
                result.set_exception(error)

        thread = threading.Thread(target=inside)  # setns concerns the thread alone, which then ends
        thread.start()
        thread.join()
        return result.result()

    def cut_udp(self) -> None:
        """From now on the router drops every UDP packet, in both directions, without a notice."""
        _command("ip", "-n", f"{self._name}r", "rule", "add", "pref", "10", "ipproto", "udp", "blackhole")

    def mend(self) -> None:
        """Lets UDP through again."""
        _command("ip", "-n", f"{self._name}r", "rule", "del", "pref", "10")


@contextlib.contextmanager
def network() -> Iterator[Network | None]:
    """Makes all of it, and removes it again; None where that is not possible. Needs root on Linux."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        yield None
        return
    pid = os.getpid()
    name = f"pn{pid}"
    subnet, host = f"10.{200 + (pid >> 13) % 50}.{pid >> 5 & 255}", (pid & 31) * 8
    server, near, far, client = (f"{subnet}.{host + number}" for number in (1, 2, 5, 6))
    router, other = f"{name}r", f"{name}c"
    steps = (
        f"netns add {router}",
        f"netns add {other}",
        f"link add {name} type veth peer name near netns {router}",
        f"-n {router} link add far type veth peer name client netns {other}",
        f"address add {server}/30 dev {name}",
        f"-n {router} address add {near}/30 dev near",
        f"-n {router} address add {far}/30 dev far",
        f"-n {other} address add {client}/30 dev client",
        f"link set {name} up",
        f"-n {router} link set near up",
        f"-n {router} link set far up",
        f"-n {other} link set client up",
        f"-n {other} link set lo up",
        f"-n {other} route add default via {far}",
        f"route add {subnet}.{host + 4}/30 via {near}",
        f"netns exec {router} sysctl -qw net.ipv4.ip_forward=1",
    )
    try:
        for step in steps:
            _command("ip", *step.split())
        made = True
    except subprocess.CalledProcessError:  # a container that is root in name only
        made = False
    try:
        yield Network(name, server) if made else None
    finally:
        for namespace in (router, other):  # and with them the links into them
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def _command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def network_ipv6() -> Iterator[Network | None]:
    """This machine and another one that has no IPv4 at all; None where that is not possible. Needs root on Linux."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        yield None
        return
    pid = os.getpid()
    name, subnet = f"p6{pid}", f"fd00:{pid >> 16:x}:{pid & 65535:x}:"
    other = f"{name}c"
    steps = (
        f"netns add {other}",
        f"link add {name} type veth peer name client netns {other}",
        f"address add {subnet}:1/64 dev {name} nodad",
        f"-n {other} address add {subnet}:2/64 dev client nodad",
        f"link set {name} up",
        f"-n {other} link set client up",
        f"-n {other} link set lo up",
    )
    try:
        for step in steps:
            _command("ip", *step.split())
        made = True
    except subprocess.CalledProcessError:
        made = False
    try:
        yield Network(name, f"{subnet}:1") if made else None
    finally:
        subprocess.run(["ip", "netns", "del", other], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
