"""The node of each occupied room, and the gateways that are in it: one row for each occupation of a room.

A row outlives the rooms in Janus: it is written before they are made, and deleted after they are destroyed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select

from portico.core.errors import MediaBusy, RoomElsewhere
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.runtime.ids import new_id
from portico.services import nodes
from portico.services.locks import hold_gateway, lock_room
from portico.services.rows import NODE_ROWS, NodeRow

ROOMS = schema.media_rooms
HOLDERS = schema.media_room_holders
NODES = schema.media_nodes


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an occupied room in its Janus, and the secret of its operator."""

    video: int
    text: int
    secret: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An occupation of a room: its id, its node, and its numbers."""

    id: str
    room_id: str
    node: NodeRow
    numbers: Numbers


def enter(
    tx: Transaction,
    room_id: str,
    gateway_id: str,
    fresh: Numbers,
    host: str,
    *,
    prefer: str | None = None,
    now: datetime,
) -> Placed:
    """Write that a gateway is in the room. The first one begins an occupation: on a chosen node, with numbers `fresh`.

    Raises GatewayLost, MediaBusy when no node can take the room, and RoomElsewhere when it is on a node that cannot be
    reached from this host.
    """
    hold_gateway(tx, gateway_id)
    lock_room(tx, room_id)
    row = tx.execute(select(ROOMS).where(ROOMS.c.room_id == room_id, ~ROOMS.c.closing)).first()
    if row is None:
        node = nodes.pick(tx, host, prefer=prefer, now=now)
        if node is None:
            raise MediaBusy("No media server is available; try again in a moment.")
        occupation_id, numbers = new_id(), fresh
        tx.execute(
            ROOMS.insert().values(
                id=occupation_id,
                room_id=room_id,
                node_id=node.id,
                node_epoch=node.epoch,
                video=fresh.video,
                text=fresh.text,
                secret=fresh.secret,
                closing=False,
                created_at=now,
            )
        )
    else:
        node = NODE_ROWS.one(tx, NODE_ROWS.select(NODES.c.id == row.node_id))
        if not node.is_up or node.epoch != row.node_epoch:
            raise MediaBusy("The media server of this room was lost; try again in a moment.")
        if node.host not in (None, host):
            raise RoomElsewhere("The room is in use on another server of this installation; join through that one.")
        occupation_id, numbers = row.id, Numbers(row.video, row.text, row.secret)
    insert_if_absent(tx, HOLDERS, gateway_id=gateway_id, media_room_id=occupation_id)
    return Placed(occupation_id, room_id, node, numbers)


def leave(tx: Transaction, occupation_id: str, gateway_id: str) -> bool:
    """Write that a gateway has left. True for the last one, which destroys the rooms in Janus and calls `forget`."""
    row = tx.execute(select(ROOMS.c.room_id).where(ROOMS.c.id == occupation_id)).first()
    if row is None:
        return False
    lock_room(tx, row.room_id)
    tx.execute(delete(HOLDERS).where(HOLDERS.c.media_room_id == occupation_id, HOLDERS.c.gateway_id == gateway_id))
    return _close_if_unheld(tx, occupation_id)


def leave_all(tx: Transaction, gateway_id: str) -> None:
    """Write that a dead gateway is in no room. The nodes' agents later destroy rooms that no gateway is in."""
    tx.execute(delete(HOLDERS).where(HOLDERS.c.gateway_id == gateway_id))


def hold_again(tx: Transaction, gateway_id: str, occupation_ids: Sequence[str]) -> None:
    """Write that a gateway, registered anew, is still in these occupations, unless they were closed meanwhile."""
    held = select(ROOMS.c.id, ROOMS.c.room_id).where(ROOMS.c.id.in_(occupation_ids), ~ROOMS.c.closing)
    for row in tx.execute(held.order_by(ROOMS.c.room_id)).all():
        lock_room(tx, row.room_id)
        if tx.execute(select(ROOMS.c.id).where(ROOMS.c.id == row.id, ~ROOMS.c.closing)).first() is not None:
            insert_if_absent(tx, HOLDERS, gateway_id=gateway_id, media_room_id=row.id)


def is_open(tx: Transaction, occupation_id: str) -> bool:
    """Whether the occupation goes on. The caller has locked the room."""
    return tx.execute(select(ROOMS.c.id).where(ROOMS.c.id == occupation_id, ~ROOMS.c.closing)).first() is not None


def open_on(tx: Transaction, node_id: str) -> list[str]:
    """Ids of the rooms on a node whose occupations go on."""
    on_node = (ROOMS.c.node_id == node_id) & ~ROOMS.c.closing
    return [row.room_id for row in tx.execute(select(ROOMS.c.room_id).where(on_node).order_by(ROOMS.c.room_id))]


def close_on(tx: Transaction, node_id: str, room_id: str) -> bool:
    """End the occupation of a room on this node; False when the room is not on it. The caller has locked the room."""
    on_node = (ROOMS.c.room_id == room_id) & (ROOMS.c.node_id == node_id) & ~ROOMS.c.closing
    return tx.execute(ROOMS.update().where(on_node).values(closing=True)).rowcount > 0


def forget(tx: Transaction, occupation_id: str) -> None:
    """Delete the row of an occupation whose rooms in Janus are destroyed."""
    tx.execute(delete(ROOMS).where(ROOMS.c.id == occupation_id, ROOMS.c.closing))


def unheld_on(tx: Transaction, node_id: str, limit: int = 100) -> list[tuple[str, str, Numbers]]:
    """(id, room id, numbers) of the occupations of a node that no gateway is in. Their rooms may exist in Janus.

    A gateway that leaves destroys them itself in a moment, unless it is killed.
    """
    held = select(HOLDERS.c.gateway_id).where(HOLDERS.c.media_room_id == ROOMS.c.id).exists()
    wanted = select(ROOMS).where(ROOMS.c.node_id == node_id, or_(ROOMS.c.closing, ~held)).order_by(ROOMS.c.created_at)
    return [(row.id, row.room_id, Numbers(row.video, row.text, row.secret)) for row in tx.execute(wanted.limit(limit))]


def close_unheld(tx: Transaction, occupation_id: str) -> bool:
    """Close an occupation that no gateway is in, so that its rooms can be destroyed; False when one is in it again."""
    row = tx.execute(select(ROOMS.c.room_id, ROOMS.c.closing).where(ROOMS.c.id == occupation_id)).first()
    if row is None or row.closing:
        return row is not None
    lock_room(tx, row.room_id)
    return _close_if_unheld(tx, occupation_id)


def _close_if_unheld(tx: Transaction, occupation_id: str) -> bool:
    held = select(HOLDERS.c.gateway_id).where(HOLDERS.c.media_room_id == occupation_id).limit(1)
    if tx.execute(held).first() is not None:
        return False
    unheld = ROOMS.update().where(ROOMS.c.id == occupation_id).values(closing=True)
    return tx.execute(unheld).rowcount == 1
