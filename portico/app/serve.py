"""Serves the program until a signal ends it."""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico.app.build import StartupInfo, running
from portico.app.roles import ALL_ROLES, Roles
from portico.config.settings import Settings
from portico.gateway.server import Gateway
from portico.listener.server import make_server
from portico.signaling.effects import CloseCode
from portico.web.path_prefix import PathPrefix
from portico.worker.node_agent import NodeAgent


def leave_out_of_collections() -> None:
    """Exempt the objects that exist from garbage collection: traversing them takes a tenth of the time of requests."""
    gc.collect()
    gc.freeze()


class _Stop:
    """Handles signals: SIGTERM and SIGHUP stop the server when calls have ended, SIGINT and a second signal at once."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.at_once = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._ask, True)
        loop.add_signal_handler(signal.SIGTERM, self._ask, False)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
            loop.add_signal_handler(signal.SIGHUP, self._ask, False)

    def _ask(self, at_once: bool) -> None:
        if at_once or self._asked.is_set():
            self.at_once.set()
        self._asked.set()

    async def wait(self) -> bool:
        """Return when the server has to stop; whether it may let calls end first."""
        await self._asked.wait()
        return not self.at_once.is_set()


class ClosesConnections:
    """Ends each HTTP connection with its next answer while the server stops, so that proxies use another server."""

    def __init__(self, app: ASGIApp, is_stopping: Callable[[], bool]) -> None:
        self._app = app
        self._is_stopping = is_stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_stopping():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, answer if scope["type"] == "http" else send)


async def serve(
    settings: Settings,
    listening: socket.socket,
    on_ready: Callable[[StartupInfo], None],
    roles: Roles = ALL_ROLES,
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `on_ready` is called when requests are answered."""
    stop = _Stop()
    async with running(settings, roles) as program:
        prefix = settings.path_prefix
        gateway = program.gateway
        app = ClosesConnections(program.app, lambda: gateway is not None and gateway.is_draining)
        server = make_server(PathPrefix(app, prefix) if prefix else app, program.connections)
        # The steps of Server.serve() but for its signal handling, which would interrupt our own ends.
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listening])
        program.connections.start()
        serving = asyncio.create_task(server.main_loop())
        leave_out_of_collections()
        on_ready(program.startup)
        await _end_calls(gateway, program.agent, settings, stop)
        if program.checks is not None:
            await program.checks.stop()
        server.should_exit = True
        await serving
        await server.shutdown(sockets=[listening])
        program.connections.stop()


async def _end_calls(gateway: Gateway | None, agent: NodeAgent | None, settings: Settings, stop: _Stop) -> None:
    """Wait until the server has to stop, and end its calls as the signal says."""
    if await stop.wait():
        if agent is not None:
            await agent.take_no_more()
        if gateway is not None:
            if settings.drain_secs:
                await gateway.drain(settings.drain_secs, stop.at_once)
            await gateway.hand_over(settings.hand_over_after_secs, stop.at_once)
        if agent is not None and (gateway is None or gateway.has_others):
            await agent.hand_over(stop.at_once)
    if gateway is not None:
        await gateway.close_all(CloseCode.RESTART, "The server stops.")
