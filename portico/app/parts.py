"""The parts of a running program, by which its application and its metrics reach them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portico.app.clock import Clock
from portico.app.workers import Storage
from portico.db.engine import Database
from portico.edge.coturn import Relay
from portico.gateway.checks import Checks
from portico.gateway.server import Gateway
from portico.janus.node import JanusNode
from portico.listener.connections import ClientConnections
from portico.runtime.supervised import Supervised
from portico.services.tokens import TokenKeys
from portico.services.webhook_keys import WebhookKeys
from portico.worker.runner import Jobs
from portico.worker.webhooks.deliveries import Deliveries


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts, of which a process has one each."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    storage: Storage
    gateway: Gateway | None
    checks: Checks | None
    connections: ClientConnections
    node: JanusNode | None
    worker: Deliveries | None
    jobs: Jobs
    clock: Clock
    recording_paused: Callable[[], bool]
    """Whether the disk of this process's media node has no room."""
    children: Sequence[Supervised] = ()
    """Programs beside Janus: Caddy, HAProxy, coturn."""
    relay: Relay | None = None
