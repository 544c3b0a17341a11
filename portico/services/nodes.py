"""Media nodes: each is one Janus with its agent, which changes the node's row every few seconds while it lives.

Gateways observe which nodes are dead (gateway/lease.py); the functions of this module end what was on them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select, true

from portico.core.errors import NotFound
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.outage import kept_apart
from portico.services import api_keys, sessions
from portico.services.listing import Listed, page_of
from portico.services.locks import lock_room
from portico.services.rows import NODE_ROWS, NodeRow

NODES = schema.media_nodes
ROOMS = schema.media_rooms
HOLDERS = schema.media_room_holders
SESSIONS = schema.room_sessions
PARTICIPANTS = schema.room_participants
ACTIVE, DRAINING, REMOVED = "active", "draining", "removed"
LEASE = timedelta(seconds=10)
"""A node whose row has not changed for this long is dead."""

_WITH_NODE = ROOMS.join(NODES, NODES.c.id == ROOMS.c.node_id)
_NODE_IS_LOST = or_(~NODES.c.is_up, NODES.c.epoch != ROOMS.c.node_epoch)
_IS_LOST = and_(_NODE_IS_LOST, ~ROOMS.c.closing)


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """How gateways reach the Janus of a node."""

    url: str
    api_secret: str | None
    admin_key: str
    host: str | None
    """The id (runtime/host.py) of the only host that reaches `url`, if that is a loopback address; else None."""
    mjr_folder: str
    version: str | None


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What a node's agent measures at each beat. `shortage` says what another participant would lack, None: nothing."""

    cpu: float = 0.0
    packets: int = 0
    shortage: str | None = None
    recording_paused: bool = False


@dataclass(frozen=True, slots=True)
class NodesLook:
    """The facts on which a gateway acts: nodes, lost rooms, and occupations that were ended."""

    up: list[tuple[str, datetime]]
    """Id and seen_at of all nodes that are up."""
    rooms_are_lost: bool
    """Whether any room of the database is on a lost node."""
    ours: list[NodeRow]
    """The nodes of the rooms that the gateway is in."""
    ended: dict[str, str]
    """Occupations that the gateway is in and that were ended: the reasons, MEDIA_LOST or SERVER_STOPPED, by id."""


def register(tx: Transaction, node_id: str, address: NodeAddress, *, now: datetime) -> int:
    """Write that the Janus of a node has started, without rooms; returns its new epoch. A drained node stays drained.

    Sessions in rooms of an earlier epoch are ended later, by `end_lost`.
    """
    values = {**asdict(address), "is_up": True, "seen_at": now, "lost_at": None}
    found = tx.execute(select(NODES).where(NODES.c.id == node_id).with_for_update()).first()
    if found is None:
        load = {**asdict(NodeLoad()), "participants": 0}
        tx.execute(NODES.insert().values(id=node_id, epoch=1, state=ACTIVE, **values, **load))
        return 1
    state = ACTIVE if found.state == REMOVED else found.state
    epoch: int = found.epoch + 1
    tx.execute(NODES.update().where(NODES.c.id == node_id).values(epoch=epoch, state=state, **values))
    return epoch


def beat(tx: Transaction, node_id: str, epoch: int, load: NodeLoad, *, now: datetime) -> bool:
    """Write the node's load and the time into its row; False when it was marked as lost and has to register anew."""
    alive = and_(NODES.c.id == node_id, NODES.c.epoch == epoch, NODES.c.is_up)
    values = {**asdict(load), "participants": _present_on(tx, node_id), "seen_at": now}
    return tx.execute(NODES.update().where(alive).values(values)).rowcount == 1


def find(tx: Transaction, node_id: str) -> NodeRow | None:
    """The node; None when there is none."""
    return NODE_ROWS.first(tx, NODE_ROWS.select(NODES.c.id == node_id))


def all_nodes(tx: Transaction) -> list[NodeRow]:
    """All nodes, also those that are removed, in the order of their ids."""
    return NODE_ROWS.all(tx, NODE_ROWS.select().order_by(NODES.c.id))


def set_state(tx: Transaction, node_id: str, state: str, *, now: datetime) -> bool:
    """Make a node ACTIVE, DRAINING or REMOVED, which marks it as lost; False when there is no such node."""
    if tx.execute(NODES.update().where(NODES.c.id == node_id).values(state=state)).rowcount == 0:
        return False
    if state == REMOVED:
        tx.execute(NODES.update().where(NODES.c.id == node_id, NODES.c.is_up).values(is_up=False, lost_at=now))
        tx.execute(ROOMS.delete().where(ROOMS.c.node_id == node_id, ROOMS.c.closing))
    return True


def list_nodes(tx: Transaction, account_id: str, page: Page) -> Listed[NodeRow]:
    """All nodes, also those that are removed. Raises Forbidden unless the account is the operator's."""
    api_keys.expect_operator(tx, account_id)
    return page_of(tx, NODES, [true()], page, NODE_ROWS.select(), NODES.c.id, NodeRow)


def change_state(tx: Transaction, account_id: str, node_id: str, state: str, *, now: datetime) -> NodeRow:
    """As `set_state`; returns the node. Raises Forbidden unless the account is the operator's, and NotFound."""
    api_keys.expect_operator(tx, account_id)
    if not set_state(tx, node_id, state, now=now):
        raise NotFound
    return NODE_ROWS.one(tx, NODE_ROWS.select(NODES.c.id == node_id))


def pick(tx: Transaction, host: str, *, prefer: str | None, now: datetime) -> NodeRow | None:
    """The least loaded active node that a gateway on this host reaches; None when there is none.

    Load is the number of participants at the last beat plus that of rooms that began there since. Of equal nodes,
    `prefer` is chosen.
    """
    since = and_(ROOMS.c.node_id == NODES.c.id, ROOMS.c.created_at > NODES.c.seen_at)
    load = NODES.c.participants + select(func.count()).select_from(ROOMS).where(since).scalar_subquery()
    reached = or_(NODES.c.host.is_(None), NODES.c.host == host)
    usable = and_(
        NODES.c.state == ACTIVE, NODES.c.is_up, NODES.c.seen_at > now - LEASE, NODES.c.shortage.is_(None), reached
    )
    ordered = NODE_ROWS.select(usable).order_by(load, NODES.c.id != (prefer or ""), func.random())
    return NODE_ROWS.first(tx, ordered.limit(1))


def mark_lost(tx: Transaction, node_id: str, *, epoch: int, now: datetime, seen_at: datetime | None = None) -> bool:
    """Mark this epoch of a node, and so all its rooms, as lost. False when it was marked, or a newer epoch runs.

    With `seen_at`, the node is marked only if its row has not changed since. `end_lost` then ends its sessions.
    """
    this = and_(NODES.c.id == node_id, NODES.c.epoch == epoch, NODES.c.is_up)
    if seen_at is not None:
        this = and_(this, NODES.c.seen_at == seen_at)
    return tx.execute(NODES.update().where(this).values(is_up=False, lost_at=now)).rowcount == 1


def mark_dead(tx: Transaction, dead: Mapping[str, datetime], *, now: datetime) -> list[str]:
    """Mark nodes as lost whose rows still have the given seen_at, by id; returns the ids of those that were marked."""
    rows = tx.execute(select(NODES.c.id, NODES.c.epoch).where(NODES.c.id.in_(list(dead)))).all()
    return [row.id for row in rows if mark_lost(tx, row.id, epoch=row.epoch, now=now, seen_at=dead[row.id])]


def lost_rooms(tx: Transaction, limit: int = 100) -> list[str]:
    """Ids of rooms that are on a node which is lost, or whose Janus has started again since."""
    wanted = select(ROOMS.c.room_id).select_from(_WITH_NODE).where(_IS_LOST).order_by(ROOMS.c.room_id)
    return [row.room_id for row in tx.execute(wanted.limit(limit))]


def end_lost(tx: Transaction, room_id: str, *, now: datetime) -> bool:
    """End the session of a room on a lost node, with participants and recordings; False when that was done already.

    The next join of the room gets another node.
    """
    lock_room(tx, room_id)
    lost = select(ROOMS.c.id).select_from(_WITH_NODE).where(_IS_LOST, ROOMS.c.room_id == room_id)
    occupation = tx.execute(lost).first()
    if occupation is None:
        return False
    with kept_apart(tx, "session of a lost node not ended", room_id=room_id):
        session = sessions.active_of(tx, room_id)
        if session is not None:
            sessions.end(tx, session.id, ended_reason="stale", left_reason=sessions.MEDIA_LOST, now=now)
    tx.execute(ROOMS.update().where(ROOMS.c.id == occupation.id).values(closing=True))
    return True


def look(tx: Transaction, gateway_id: str) -> NodesLook:
    """Read the facts on which this gateway acts. It writes nothing, so that it is cheap to repeat."""
    up = tx.execute(select(NODES.c.id, NODES.c.seen_at).where(NODES.c.is_up)).all()
    held = select(ROOMS.c.node_id, ROOMS.c.id, ROOMS.c.closing, _NODE_IS_LOST.label("is_lost")).select_from(
        _WITH_NODE.join(HOLDERS, HOLDERS.c.media_room_id == ROOMS.c.id)
    )
    ours = tx.execute(held.where(HOLDERS.c.gateway_id == gateway_id)).all()
    return NodesLook(
        [(row.id, row.seen_at) for row in up],
        bool(lost_rooms(tx, 1)),
        NODE_ROWS.all(tx, NODE_ROWS.select(NODES.c.id.in_({row.node_id for row in ours}))),
        {row.id: sessions.MEDIA_LOST if row.is_lost else sessions.SERVER_STOPPED for row in ours if row.closing},
    )


def _present_on(tx: Transaction, node_id: str) -> int:
    active = ROOMS.join(SESSIONS, and_(SESSIONS.c.room_id == ROOMS.c.room_id, SESSIONS.c.active, ~ROOMS.c.closing))
    joined = active.join(PARTICIPANTS, PARTICIPANTS.c.session_id == SESSIONS.c.id)
    here = and_(ROOMS.c.node_id == node_id, PARTICIPANTS.c.left_at.is_(None))
    return tx.execute(select(func.count()).select_from(joined).where(here)).scalar_one()
