"""Builds the program from the settings and starts its parts: database, clock, Janus, gateway and workers."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from starlette.applications import Starlette

from portico.app.application import application
from portico.app.clock import Clock, ClockKeeper
from portico.app.follow_keys import FollowKeys
from portico.app.media import node_agent
from portico.app.parts import Parts
from portico.app.public_server import edge_settings
from portico.app.relay import ice_servers, relay_settings
from portico.app.roles import ALL_ROLES, Roles
from portico.app.workers import open_storage, run_workers
from portico.config.settings import Settings
from portico.core.ice import IceServers
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.migrate import upgrade
from portico.edge.coturn import running_relay
from portico.edge.front import running_front
from portico.gateway.checks import CheckContext, Checks
from portico.gateway.nodes import MediaNode
from portico.gateway.server import Gateway
from portico.janus.mjr_folder import open_mjr_folder
from portico.janus.node import JanusNode, JanusSettings
from portico.listener.connections import ClientConnections
from portico.listener.limits import Limits
from portico.runtime import child
from portico.runtime.side_loop import SideLoop
from portico.services import api_keys, gateways, jobs, meetings, tokens, webhook_keys, webhook_queue
from portico.services.locks import lock_first_rows
from portico.services.tokens import TokenKeys
from portico.services.webhook_keys import WebhookKeys
from portico.worker.node_agent import NodeAgent
from portico.worker.webhooks.deliveries import Deliveries
from portico.worker.webhooks.internal_addresses import WhileOneAccount
from portico.worker.webhooks.sender import Sender

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StartupInfo:
    """What `portico serve` prints when it is ready: a meeting link and, at the first start, the API key."""

    new_api_key: str | None
    meeting_link: str


@dataclass(frozen=True, slots=True)
class Running:
    """A program that is ready to be served. Parts of roles that the process does not have are None."""

    app: Starlette
    gateway: Gateway | None
    janus: JanusNode | None
    agent: NodeAgent | None
    """The agent of this process's media node; None without a node, or where the process is alone."""
    checks: Checks | None
    connections: ClientConnections
    startup: StartupInfo


@asynccontextmanager
async def running(settings: Settings, roles: Roles = ALL_ROLES) -> AsyncIterator[Running]:
    """Start everything but the listening socket; on leaving, end everything that was started."""
    connections = ClientConnections(_limits(settings))
    db = open_database(settings.database, list_secs=settings.list_timeout_secs)
    try:
        await asyncio.to_thread(upgrade, db.engine)
        async with _clock(db) as clock, AsyncExitStack() as started:
            keys, startup = await db.write(partial(_first_rows, settings=settings, roles=roles, at=clock()))
            load = partial(webhook_keys.load, setting=settings.webhook_private_key, folder=settings.data_dir)
            of_webhooks = await db.write(partial(load, now=clock()))
            storage = await open_storage(settings, db, clock)
            own_relay = relay_settings(settings) if roles >= {"api", "media"} else None
            ice = ice_servers(settings, own_relay)
            calls = Calls(settings, roles, db, keys, connections, clock, ice)
            await started.enter_async_context(calls.running())
            gateway = calls.gateway
            worker = await started.enter_async_context(_deliveries(settings, db, of_webhooks, clock, roles))
            runner = await started.enter_async_context(run_workers(settings, db, storage, calls.disk_is_low, roles))
            await started.enter_async_context(
                FollowKeys(db, keys, storage.link_keys, of_webhooks, clock=clock).running()
            )
            checks = None
            if gateway is not None:
                checks = await started.enter_async_context(_checks(db, keys, calls.janus, gateway, clock, ice))
            edge = edge_settings(settings) if "api" in roles else None
            front = await started.enter_async_context(running_front(edge))
            relay = await started.enter_async_context(running_relay(own_relay, front.certificates if front else None))
            await asyncio.to_thread(child.report)  # here, so that a refusal to start is the only line
            parts = Parts(
                *(db, keys, of_webhooks, storage, gateway, checks, connections, calls.janus, worker, runner, clock),
                recording_paused=calls.recording_is_paused,
                children=(*(front.programs if front else ()), *((relay.program,) if relay else ())),
                relay=relay,
            )
            yield Running(application(settings, parts), gateway, calls.janus, calls.agent, checks, connections, startup)
    finally:
        await db.close()


@asynccontextmanager
async def _clock(db: Database) -> AsyncIterator[Clock]:
    """Make the one clock of the program; keep it set while the block runs."""
    clock = Clock()
    keeper = ClockKeeper(db, clock)
    await keeper.start()
    try:
        yield clock
    finally:
        await keeper.stop()


class Calls:
    """The parts of this process that serve calls: the gateway, its Janus with its agent, or one of them."""

    def __init__(
        self,
        settings: Settings,
        roles: Roles,
        db: Database,
        keys: TokenKeys,
        connections: ClientConnections,
        clock: Clock,
        ice: IceServers,
    ) -> None:
        self._side = SideLoop()
        mjr_folder = open_mjr_folder(settings.data_dir)
        self._node_id = mjr_folder.node_id
        self.janus: JanusNode | None = None
        self.agent: NodeAgent | None = None
        self.gateway: Gateway | None = None
        is_alone = settings.sqlite_file is not None
        own: MediaNode | None = None
        if "media" in roles:
            on_event = self._on_event if "api" in roles else None
            self.janus = JanusNode(
                _janus_settings(settings), on_lost=self._on_lost, on_up=self._on_up, on_event=on_event, side=self._side
            )
            own = MediaNode(self._node_id, self.janus, str(mjr_folder.path.absolute()))
            if not is_alone:
                self.agent = node_agent(db, own, self.janus, clock, self._side)
        if "api" in roles:
            self.gateway = Gateway(
                db,
                keys,
                own,
                node_id=self._node_id,
                is_alone=is_alone,
                clock=clock,
                grace=timedelta(seconds=settings.empty_session_grace_secs),
                token_expiry=settings.token_expiry,
                descriptors_are_short=connections.descriptors.are_short,
                join_limit=settings.join_limit,
                ice=ice,
                side=self._side,
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start Janus, then what depends on it."""
        with self._side:
            async with AsyncExitStack() as started:
                for part in (self.janus, self.agent, self.gateway):
                    if part is not None:
                        await part.start()
                        started.push_async_callback(part.stop)
                yield

    async def disk_is_low(self, is_low: bool) -> None:
        """Pause recording on this process's node while its disk is nearly full; resume it after that."""
        if self.agent is not None:  # gateways read it in the node's row
            self.agent.recording_paused = is_low
        elif self.gateway is not None:
            self.gateway.registry.set_room_on_disk(self._node_id, not is_low)

    def recording_is_paused(self) -> bool:
        """Whether recording is paused because the disk of this process's node is nearly full."""
        if self.agent is not None:
            return self.agent.recording_paused
        return self.gateway is not None and not self.gateway.registry.has_room_on_disk(self._node_id)

    async def _on_lost(self, reason: str) -> None:
        if self.agent is not None:
            await self.agent.janus_lost()
        if self.gateway is not None:
            await self.gateway.janus_lost(reason)

    async def _on_up(self) -> None:
        if self.agent is not None:
            await self.agent.register()

    def _on_event(self, frame: object) -> None:
        if self.gateway is not None:
            self.gateway.janus_event(frame)


@asynccontextmanager
async def _checks(
    db: Database, keys: TokenKeys, node: JanusNode | None, gateway: Gateway, clock: Clock, ice: IceServers
) -> AsyncIterator[Checks]:
    checks = Checks(CheckContext(db, keys, node, clock, ice, lambda: gateway.is_draining))
    try:
        yield checks
    finally:
        await checks.stop()


@asynccontextmanager
async def _deliveries(
    settings: Settings, db: Database, keys: WebhookKeys, clock: Clock, roles: Roles
) -> AsyncIterator[Deliveries | None]:
    if "worker" not in roles:
        yield None
        return
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


def _first_rows(tx: Transaction, settings: Settings, roles: Roles, at: datetime) -> tuple[TokenKeys, StartupInfo]:
    """Make keys, an account and a room where there are none; close the rows that a killed predecessor left open."""
    lock_first_rows(tx)  # several processes may start at once
    keys = tokens.load_keys(tx, at)
    new_key = None
    if "api" not in roles:
        pass  # the key is printed by a process with the API
    elif settings.api_key is not None:
        if not api_keys.admit_setting(tx, settings.api_key, at):
            log.warning("PORTICO_API_KEY was revoked and opens nothing: choose another one")
    elif not api_keys.any_exist(tx):
        new_key = api_keys.create(tx, api_keys.DEFAULT_ACCOUNT, at)
    # DATA_DIR is locked by this process alone, so its former gateways are dead; on SQLite all are, as the database is
    # locked too. So no room waits for their lease to end before it is free.
    node_id = open_mjr_folder(settings.data_dir).node_id
    alone = tx.dialect.name == "sqlite"
    while gateways.reap(tx, gateways.all_gateways(tx) if alone else gateways.of_node(tx, node_id), now=at):
        pass
    if alone:
        webhook_queue.release_all(tx)
        jobs.take_over(tx, node_id)
    room_id = meetings.first_room(tx, at)
    return keys, StartupInfo(new_key, meetings.link_of(tx, keys, room_id, settings.base_url).url)


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
        trusted_proxies=settings.all_trusted_proxies,
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
        is_public=settings.domain is not None,
        rtp_ports=settings.rtp_ports,
        listen=None if settings.node_address is None else (str(settings.node_address), settings.node_port),
        keeps_private=settings.turn_is_on,
    )
