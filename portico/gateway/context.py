"""The services, settings and limits that all connections of a gateway share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import aiohttp

from portico.core.ice import IceServers
from portico.db.engine import Database
from portico.gateway.join_limit import JoinLimit
from portico.gateway.joining import JoiningSockets
from portico.gateway.nodes import MediaNode
from portico.gateway.registry import Registry
from portico.gateway.seats import SeatsElsewhere
from portico.services.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class GatewayContext:
    """The services, settings and limits that every connection of one gateway uses."""

    db: Database
    keys: TokenKeys
    own_node: MediaNode | None
    """The only node of a process that is alone; None where rows assign each room to one of several nodes."""
    registry: Registry
    janus: aiohttp.ClientSession
    """Opens a socket to Janus for each connection."""
    gateway_id: str
    expiry_ends: Literal["join", "session"]
    """What the expiry of a token ends: joining only ("join"), or a running call as well ("session")."""
    clock: Callable[[], datetime]
    grace: timedelta
    seats_elsewhere: SeatsElsewhere | None
    """None in a process that is alone."""
    joining: JoiningSockets
    join_limit: JoinLimit
    ice: IceServers
    """The STUN and TURN servers that browsers receive with the answer to their first request."""
    descriptors_are_short: Callable[[], bool]
    """Whether a socket to Janus would take one of the file descriptors that are reserved for other uses."""
