"""The lab with its public servers and browsers, each started at its first use and stopped at the end."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.networks import lab as networks
from tests.networks.calls import Client, Reach
from tests.networks.lab import Lab
from tests.networks.machines import chromium_on, serving, site_on
from tests.waiting import wait_until

DOMAIN, TURN_DOMAIN = "video.lab.test", "turn.lab.test"
_AUTHORITY = Path("data/edge/caddy/storage/pki/authorities/local/root.crt")
_ADDRESSES = {
    "server": (networks.SERVER, networks.SERVER_6),
    "inside": (networks.INSIDE_PUBLIC,),
    "sixonly": (networks.SIX_ONLY,),
    "norelay": (networks.NO_RELAY,),
}
"""The public addresses of each server."""
_RELAY = {"turn_domain": TURN_DOMAIN}
_SETTINGS = {"inside": _RELAY | {"media_address": networks.INSIDE_PUBLIC}, "norelay": {"turn": "off"}}


class World:
    """Servers by machine, and browsers by machine and server."""

    def __init__(self, lab: Lab, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.lab = lab
        self._folder, self._stack = folder, stack
        self._servers: dict[str, Reach] = {}
        self._clients: dict[tuple[str, str], Client] = {}

    def server(self, name: str) -> Reach:
        """The public server on that machine: a name, another one for TURN, and an authority of its own."""
        if name not in self._servers:
            folder = self._folder / name
            hosts = dict.fromkeys((DOMAIN, TURN_DOMAIN), _ADDRESSES[name])
            settings = {"domain": DOMAIN, "tls": "internal"} | _SETTINGS.get(name, _RELAY)
            server = self._stack.enter_context(serving(self.lab[name], folder, hosts, **settings))
            wait_until((folder / _AUTHORITY).exists)
            self._servers[name] = Reach(server, f"https://{DOMAIN}", hosts, folder / _AUTHORITY)
        return self._servers[name]

    async def client(self, name: str, server: str) -> Client:
        """The browser on that machine that knows the names of that server and trusts its authority."""
        if (name, server) not in self._clients:
            machine, reach = self.lab[name], self.server(server)
            opened = chromium_on(machine, self._folder / f"{name}-{server}", reach.hosts, authority=reach.authority)
            browser = await self._stack.enter_async_context(opened)
            self._clients[name, server] = Client(browser, self._stack.enter_context(site_on(machine)))
        return self._clients[name, server]


@contextlib.asynccontextmanager
async def world(lab: Lab, folder: Path) -> AsyncIterator[World]:
    """An empty world in the lab."""
    async with contextlib.AsyncExitStack() as stack:
        yield World(lab, folder, stack)
