"""What all connections of a gateway work with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import aiohttp

from portico.db.engine import Database
from portico.gateway.join_limit import JoinLimit
from portico.gateway.joining import JoiningSockets
from portico.gateway.registry import Registry
from portico.janus.node import JanusNode
from portico.services.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class GatewayContext:
    """What every connection of a gateway shares."""

    db: Database
    keys: TokenKeys
    node: JanusNode
    registry: Registry
    janus: aiohttp.ClientSession
    gateway_id: str
    expiry_ends: Literal["join", "session"]
    """What an expired token ends: joining only, or the running call too."""
    clock: Callable[[], datetime]
    grace: timedelta
    joining: JoiningSockets
    join_limit: JoinLimit
    descriptors_are_short: Callable[[], bool]
    """Whether one more socket to Janus would take a descriptor that is kept for something else."""
