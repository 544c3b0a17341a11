"""Meeting links with which guests join rooms, the view of a room for guests, and the first room of an installation."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select

from portico.core.errors import NotFound
from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.runtime.ids import new_id
from portico.services import api_keys, room_counts, rooms, sessions, tokens
from portico.services.tokens import TokenKeys

_ROOM = schema.rooms.c
FIRST_ROOM = RoomSettings(unique_name="Meeting room", max_participants=50)


@dataclass(frozen=True, slots=True)
class GuestView:
    """The members of a room that a guest with a meeting link or a token sees before joining."""

    unique_name: str | None
    max_participants: int
    recording: bool
    """Whether the active session is recorded; without one, whether the next one will be."""


@dataclass(frozen=True, slots=True)
class MeetingLink:
    """The one valid meeting link of a room, its generation (0 is the first) and the room's account."""

    url: str
    generation: int
    account_id: str


def link_of(tx: Transaction, keys: TokenKeys, room_id: str, base_url: str) -> MeetingLink:
    """The valid meeting link of a room; NotFound without the room. `base_url` is where browsers reach this server."""
    existing = _ROOM.id == room_id, _ROOM.deleted_at.is_(None)
    room = tx.execute(select(_ROOM.account_id, _ROOM.link_generation).where(*existing)).one_or_none()
    if room is None:
        raise NotFound
    invitation = tokens.invite(keys, room_id, room.link_generation)
    return MeetingLink(f"{base_url}/meet/{room_id}#{invitation}", room.link_generation, room.account_id)


def new_link(
    tx: Transaction, keys: TokenKeys, room_id: str, base_url: str, account_id: str | None = None
) -> MeetingLink:
    """A new meeting link of a room of this account, or of any account with None; the link before becomes void.

    Tokens that were made with the link before stay valid until they expire. Raises NotFound without the room.
    """
    rooms.renew_link(tx, account_id, room_id)
    return link_of(tx, keys, room_id, base_url)


def guest_view(tx: Transaction, room_id: str) -> GuestView:
    """The room as guests see it; NotFound when it is gone."""
    room = tx.execute(select(schema.rooms).where(schema.rooms.c.id == room_id)).one_or_none()
    if room is None or room.deleted_at is not None:
        raise NotFound
    session = sessions.active_of(tx, room_id)
    recording = room.enable_recording if session is None else session.recording
    return GuestView(room.unique_name, room.max_participants, recording)


def first_room(tx: Transaction, now: datetime) -> str:
    """The id of the default account's meeting room, which is made when there is none (any more)."""
    account_id = api_keys.account_named(tx, api_keys.DEFAULT_ACCOUNT, now)
    room_id = new_id()
    made = insert_if_absent(
        tx,
        schema.rooms,
        id=room_id,
        account_id=account_id,
        created_at=now,
        updated_at=now,
        **asdict(FIRST_ROOM),
    )
    if made:
        room_counts.add(tx, account_id, room_id, 1)
    room = schema.rooms.c
    named = room.account_id == account_id, room.unique_name == FIRST_ROOM.unique_name, room.deleted_at.is_(None)
    return str(tx.execute(select(room.id).where(*named)).scalar_one())
