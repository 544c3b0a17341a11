"""Builds the agent of the media node of this process."""

from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from portico.db.engine import Database
from portico.gateway.nodes import MediaNode
from portico.gateway.registry import destroy
from portico.janus.node import JanusNode
from portico.runtime.host import host_id
from portico.runtime.side_loop import SideLoop
from portico.services.media_rooms import Numbers
from portico.services.nodes import NodeAddress
from portico.signaling.control import MediaRoom
from portico.worker.node_agent import NodeAgent


def node_agent(
    db: Database, own: MediaNode, janus: JanusNode, clock: Callable[[], datetime], side: SideLoop
) -> NodeAgent:
    """Make the agent of this Janus, which has to be up."""

    def address() -> NodeAddress:
        host = host_id() if _is_loopback(janus.url) else None
        return NodeAddress(janus.url, janus.api_secret, janus.admin_key, host, own.mjr_folder, janus.version)

    async def end(room_id: str, numbers: Numbers) -> bool:
        return await destroy(own, MediaRoom(room_id, numbers.video, numbers.text, numbers.secret))

    return NodeAgent(db, janus, own.id, address, end, clock=clock, side=side)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
