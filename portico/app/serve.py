"""Builds the whole program by hand, once: database, Janus, gateway, REST and pages in one process tree."""

import asyncio
import gc
import math
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, Gauge
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from portico.api import health
from portico.api.app import add_api
from portico.app.clock import Clock, ClockKeeper
from portico.app.follow_keys import FollowKeys
from portico.app.workers import Storage, open_storage, run_workers
from portico.config.settings import Settings
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.keyfile import WebhookKeys
from portico.db.migrate import upgrade
from portico.db.statements import ping
from portico.gateway.server import Gateway
from portico.janus.mjr_folder import open_mjr_folder
from portico.janus.node import JanusNode, JanusSettings
from portico.listener.connections import CAUSES, REFUSALS, ClientConnections
from portico.listener.limits import Limits
from portico.listener.server import make_server
from portico.runtime import child
from portico.runtime.side_loop import SideLoop
from portico.services import api_keys, gateways, jobs, meetings, tokens, webhook_queue
from portico.services.tokens import TokenKeys
from portico.signaling.effects import CloseCode
from portico.web import files, invitations, pages
from portico.web.path_prefix import PathPrefix
from portico.worker.runner import Jobs
from portico.worker.webhooks.deliveries import Deliveries
from portico.worker.webhooks.internal_addresses import WhileOneAccount
from portico.worker.webhooks.sender import Sender

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the first screen of `portico serve` tells."""

    new_api_key: str | None
    meeting_link: str


@dataclass(frozen=True, slots=True)
class Running:
    """A program that is ready to be served."""

    app: Starlette
    gateway: Gateway
    connections: ClientConnections
    welcome: Welcome


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Start everything but the listening socket; on leaving, end everything that was started."""
    await asyncio.to_thread(child.report)
    connections = ClientConnections(_limits(settings))
    db = open_database(settings.database, list_secs=settings.list_timeout_secs)
    try:
        await asyncio.to_thread(upgrade, db.engine)
        async with _clock(db) as clock:
            keys, welcome = await db.write(partial(_first_rows, settings=settings, at=clock()))
            webhook_keys = WebhookKeys(settings.data_dir / "webhook-keys.json", settings.webhook_private_key)
            storage = await open_storage(settings, db, clock)
            async with (
                _gateway(settings, db, keys, connections, clock) as (gateway, node),
                _deliveries(settings, db, webhook_keys, clock) as worker,
            ):

                async def on_disk_low(is_low: bool) -> None:
                    gateway.registry.set_room_on_disk(not is_low)

                follower = FollowKeys(db, keys, storage.link_keys, clock=clock)
                async with run_workers(settings, db, storage, on_disk_low) as runner, follower.running():
                    parts = Parts(db, keys, webhook_keys, storage, gateway, connections, node, worker, runner, clock)
                    yield Running(_build(settings, parts), gateway, connections, welcome)
    finally:
        await db.close()


@asynccontextmanager
async def _clock(db: Database) -> AsyncIterator[Clock]:
    """The one clock of the program."""
    clock = Clock()
    keeper = ClockKeeper(db, clock)
    await keeper.start()
    try:
        yield clock
    finally:
        await keeper.stop()


@asynccontextmanager
async def _gateway(
    settings: Settings, db: Database, keys: TokenKeys, connections: ClientConnections, clock: Clock
) -> AsyncIterator[tuple[Gateway, JanusNode]]:
    async def on_lost(reason: str) -> None:
        await gateway.janus_lost(reason)

    def on_event(frame: object) -> None:
        gateway.janus_event(frame)

    with SideLoop() as side:
        node = JanusNode(_janus_settings(settings), on_lost=on_lost, on_event=on_event, side=side)
        gateway = Gateway(
            db,
            keys,
            node,
            clock=clock,
            grace=timedelta(seconds=settings.empty_session_grace_secs),
            token_expiry=settings.token_expiry,
            mjr_folder=open_mjr_folder(settings.data_dir),
            descriptors_are_short=connections.descriptors.are_short,
            join_limit=settings.join_limit,
            side=side,
        )
        await node.start()
        try:
            await gateway.start()
            try:
                yield gateway, node
            finally:
                await gateway.stop()
        finally:
            await node.stop()


@asynccontextmanager
async def _deliveries(settings: Settings, db: Database, keys: WebhookKeys, clock: Clock) -> AsyncIterator[Deliveries]:
    keys.current(clock())  # a file that cannot be read is a reason not to start
    chosen = settings.webhook_internal_addresses
    allow_internal = WhileOneAccount(db) if chosen is None else chosen
    worker = Deliveries(
        db,
        Sender(clock=clock, allow_internal=allow_internal, proxy=settings.webhook_proxy),
        lambda: keys.current(clock()),
        clock=clock,
        retry_for=timedelta(hours=settings.webhook_retry_hours),
        keep_for=timedelta(days=min(settings.webhook_log_days, settings.history_days or math.inf)),
    )
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


def _first_rows(tx: Transaction, settings: Settings, at: datetime) -> tuple[TokenKeys, Welcome]:
    """Keys, an account to begin with, a room to meet in; and whoever a killed predecessor left in a room leaves."""
    keys = tokens.load_keys(tx, at)
    new_key = None
    if settings.api_key is not None:
        if not api_keys.admit_setting(tx, settings.api_key, at):
            log.warning("PORTICO_API_KEY was revoked and opens nothing: choose another one")
    elif not api_keys.any_exist(tx):
        new_key = api_keys.create(tx, api_keys.DEFAULT_ACCOUNT, at)
    # DATA_DIR is locked by this process alone, so its former gateways are dead; on SQLite all are, as the database is
    # locked too. Nobody has to wait for the lease before a room is free again.
    node_id = open_mjr_folder(settings.data_dir).node_id
    alone = tx.dialect.name == "sqlite"
    while gateways.reap(tx, gateways.everybody(tx) if alone else gateways.of_node(tx, node_id), now=at):
        pass
    if alone:
        webhook_queue.release_all(tx)
        jobs.take_over(tx, node_id)
    room_id = meetings.first_room(tx, at)
    return keys, Welcome(new_key, meetings.link_of(tx, keys, room_id, settings.base_url).url)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is put together from."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    storage: Storage
    gateway: Gateway
    connections: ClientConnections
    node: JanusNode
    worker: Deliveries
    jobs: Jobs
    clock: Clock


def _build(settings: Settings, parts: Parts) -> Starlette:
    app = Starlette()
    add_api(
        app,
        parts.db,
        parts.keys,
        parts.webhook_keys,
        clock=parts.clock,
        link=parts.storage.link,
        base_url=settings.base_url,
        composition_regions_max=settings.composition_regions,
        composition_audio=settings.composition_audio,
        rate_limit=settings.rate_limit,
    )

    async def database_answers() -> str | None:
        await parts.db.read(ping)
        return None

    async def janus_answers() -> str | None:
        return None if parts.node.is_up else "The media server is being restarted."

    async def media_has_room() -> str | None:
        return parts.node.shortage()

    async def descriptors_are_left() -> str | None:
        return "the reserve is reached" if parts.connections.descriptors.are_short() else None

    async def is_not_stopping() -> str | None:
        return "The server is stopping." if parts.gateway.is_draining else None

    checks = {
        "server": is_not_stopping,
        "database": database_answers,
        "janus": janus_answers,
        "media": media_has_room,
        "storage": parts.storage.store.check,
        "descriptors": descriptors_are_left,
    }
    metrics = _metrics(parts)
    find_key, are_metrics_public = app.state.api.key_ring.find, settings.metrics_public
    app.routes.extend(health.routes(checks, metrics, find_key=find_key, are_metrics_public=are_metrics_public))
    app.routes.extend(pages.routes())
    app.routes.extend(invitations.routes(parts.db, parts.keys, parts.clock, settings.join_limit, settings.base_url))
    app.routes.extend(files.routes(parts.db, parts.storage.store, parts.storage.link_keys, parts.clock))
    app.routes.append(WebSocketRoute("/{room_id}/janus", parts.gateway))
    return app


def _metrics(parts: Parts) -> CollectorRegistry:
    registry = CollectorRegistry()
    calls = parts.gateway.registry

    def capacity(name: str) -> float:
        """NaN for a Janus that is not ours, or is being restarted."""
        return float(getattr(parts.node.capacity(), name, math.nan))

    figures: list[tuple[str, str, Callable[[], float]]] = [
        ("portico_connections", "Signaling connections that are in a room", lambda: calls.connection_count),
        ("portico_rooms_occupied", "Rooms that somebody is connected to", lambda: len(calls.occupied)),
        ("portico_deliveries_in_flight", "Webhook deliveries being sent now", lambda: parts.worker.in_flight),
        ("portico_jobs_running", "Recordings and compositions being finished now", lambda: parts.jobs.running),
        ("portico_recording_paused", "1 while the disk has no room", lambda: float(not calls.room_on_disk)),
        ("portico_janus_ports_used", "Media ports that are bound", lambda: capacity("ports_used")),
        ("portico_janus_ports_total", "Media ports in all", lambda: capacity("ports_total")),
        ("portico_janus_descriptors", "File descriptors of Janus", lambda: capacity("descriptors_used")),
        ("portico_janus_descriptors_total", "File descriptors at most", lambda: capacity("descriptors_total")),
        ("portico_janus_events", "1 while the media server reports events", lambda: float(parts.node.reports_events)),
        ("portico_janus_up", "1 while the media server answers", lambda: float(parts.node.is_up)),
    ]
    figures += [
        ("portico_sockets", "Connections to the listening socket", lambda: parts.connections.count),
        ("portico_sockets_without_token", "Those without a token or key", lambda: parts.connections.strangers),
        ("portico_sockets_joining", "Those with a token that have not joined", lambda: parts.gateway.joining.count),
        ("portico_open_files", "File descriptors in use", parts.connections.descriptors.count),
        ("portico_open_files_max", "File descriptors at most", lambda: parts.connections.descriptors.limit),
    ]
    for name, text, figure in figures:
        Gauge(name, text, registry=registry).set_function(figure)
    _counts(
        registry,
        "portico_sockets_refused",
        "Connections refused, by the limit",
        REFUSALS,
        parts.connections.refused,
    )
    _counts(registry, "portico_sockets_aborted", "Connections ended by us, by cause", CAUSES, parts.connections.ended)
    return registry


def _counts(registry: CollectorRegistry, name: str, text: str, causes: Iterable[str], counts: Counter[str]) -> None:
    """Figures of a counter that others keep, one for each cause, from the start on."""
    gauge = Gauge(name, text, ["cause"], registry=registry)
    for cause in causes:
        gauge.labels(cause).set_function(partial(counts.__getitem__, cause))


def _limits(settings: Settings) -> Limits:
    return Limits(
        per_address=settings.sockets_per_address,
        without_token=settings.sockets_without_token,
        in_all=settings.sockets_max,
        head_secs=settings.request_head_secs,
        body_secs=settings.request_body_secs,
        idle_secs=settings.idle_secs,
        answer_secs=settings.answer_secs,
        messages_per_sec=settings.messages_per_sec,
        requests_per_sec=settings.requests_per_address,
        trusted_proxies=settings.trusted_proxies,
    )


def _janus_settings(settings: Settings) -> JanusSettings:
    return JanusSettings(
        data_dir=settings.data_dir,
        binary=settings.janus_bin,
        url=settings.janus_url,
        api_secret=settings.janus_api_secret,
        admin_key=settings.janus_admin_key,
        interface=settings.media_interface,
        address=settings.media_address,
        rtp_ports=settings.rtp_ports,
    )


def leave_out_of_collections() -> None:
    """What was made until now stays: to look at it again and again takes a tenth of the time of requests."""
    gc.collect()
    gc.freeze()


class _Stop:
    """What signals ask for: SIGTERM and SIGHUP let calls end first, SIGINT and any second signal do not."""

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


async def serve(settings: Settings, listening: socket.socket, on_ready: Callable[[Welcome], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `on_ready` is called when requests are answered."""
    stop = _Stop()
    async with running(settings) as program:
        prefix = settings.path_prefix
        server = make_server(PathPrefix(program.app, prefix) if prefix else program.app, program.connections)
        # The steps of Server.serve() but for its signal handling, which would interrupt our own ends.
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listening])
        program.connections.start()
        serving = asyncio.create_task(server.main_loop())
        leave_out_of_collections()
        on_ready(program.welcome)
        if await stop.wait() and settings.drain_secs:
            await program.gateway.drain(settings.drain_secs, stop.at_once)
        await program.gateway.close_all(CloseCode.RESTART, "The server stops.")
        server.should_exit = True
        await serving
        await server.shutdown(sockets=[listening])
        program.connections.stop()
