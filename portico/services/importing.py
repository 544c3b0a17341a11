"""Inserts rows of an account of the hosted service, as its API returns them, with their ids. Existing rows stay."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, select

from portico.core import object_keys
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.services import room_counts

ELSEWHERE = "00000000-0000-0000-0000-000000000000"
"""The gateway id of participants who were in a call of the hosted service."""
_EXTENSIONS = {"h264": "mp4", "vp8": "webm", "vp9": "webm", "av1": "webm", "opus": "ogg"}
Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of the hosted service that is in the store now."""

    object_key: str
    size_bytes: int
    sha256: str


def room(tx: Transaction, account_id: str, members: Members) -> bool:
    """Insert a room; False when it exists. Its name is left out if another room has it."""
    name = members.get("unique_name") or None
    named = (schema.rooms.c.account_id == account_id) & (schema.rooms.c.unique_name == name)
    if name is not None and tx.execute(select(schema.rooms.c.id).where(named)).first() is not None:
        name = None
    row = {
        "unique_name": name,
        "max_participants": members.get("max_participants") or 10,
        "enable_recording": bool(members.get("enable_recording")),
        **_webhooks(members),
    }
    if not _insert(tx, schema.rooms, members, account_id=account_id, **row):
        return False
    room_counts.add(tx, account_id, members["id"], 1)
    return True


def session(tx: Transaction, account_id: str, members: Members) -> bool:
    """Insert a session that is over; False when it exists or goes on. A later import brings one that goes on."""
    if members.get("active") or not members.get("ended_at"):
        return False
    _former_room(tx, account_id, members)
    row = {"room_id": members["room_id"], "active": False, "ended_at": _instant(members["ended_at"])}
    return _insert(tx, schema.room_sessions, members, account_id=account_id, **row)


def participant(tx: Transaction, account_id: str, members: Members) -> bool:
    """Insert a participant; False when it exists, or when its session was not imported."""
    found = tx.execute(select(schema.room_sessions).where(schema.room_sessions.c.id == members["session_id"])).first()
    if found is None or found.account_id != account_id or found.active:
        return False
    row = {
        "session_id": found.id,
        "room_id": found.room_id,
        "gateway_id": ELSEWHERE,
        "context": members.get("context"),
        "joined_at": _instant(members["joined_at"]),
        "updated_at": _instant(members.get("updated_at") or members["joined_at"]),
        "left_at": _instant(members.get("left_at")) or found.ended_at,
    }
    return insert_if_absent(tx, schema.room_participants, id=members["id"], account_id=account_id, **row)


def has_recording(tx: Transaction, recording_id: str) -> bool:
    """Whether the recording was imported, with its file."""
    return _exists(tx, schema.room_recordings, recording_id)


def has_composition(tx: Transaction, composition_id: str) -> bool:
    """Whether the composition was imported, with its file."""
    return _exists(tx, schema.room_compositions, composition_id)


def recording_key(members: Members) -> str:
    """The key of a recording's file in the store."""
    extension = _EXTENSIONS.get(str(members.get("codec")).lower(), "ogg" if members["type"] == "audio" else "webm")
    return object_keys.recording_key(members["session_id"], members["id"], extension)


def recording(tx: Transaction, account_id: str, members: Members, file: FetchedFile) -> bool:
    """Insert a recording whose file is in the store; False when it exists, or when its session was not imported."""
    if not _exists(tx, schema.room_sessions, members["session_id"]):
        return False
    started_at, ended_at = _instant(members["started_at"]), _instant(members["ended_at"])
    assert started_at is not None and ended_at is not None
    if not _exists(tx, schema.room_participants, members["participant_id"]):
        joined = {"joined_at": members["started_at"], "left_at": members["ended_at"]}
        stay = {"id": members["participant_id"], "session_id": members["session_id"], **joined}
        participant(tx, account_id, stay)
    row = {
        "room_id": members["room_id"],
        "session_id": members["session_id"],
        "participant_id": members["participant_id"],
        "type": members["type"],
        "stream_key": "self",
        "mjr_name": hashlib.sha256(members["id"].encode()).hexdigest(),
        "codec": members.get("codec"),
        "shown": [[_milliseconds(started_at), _milliseconds(ended_at)]],
        **_of_file(members, file),
    }
    return _insert(tx, schema.room_recordings, members, account_id=account_id, **row)


def composition(tx: Transaction, account_id: str, members: Members, file: FetchedFile) -> bool:
    """Insert a composition whose file is in the store; False when it exists, or when its session was not imported."""
    if not _exists(tx, schema.room_sessions, members["session_id"]):
        return False
    row = {
        "room_id": members["room_id"],
        "session_id": members["session_id"],
        "format": members.get("format") or "mp4",
        "resolution": members.get("resolution") or "1280x720",
        "video_layout": members.get("video_layout") or {},
        "audio_sources": members.get("audio_sources"),
        "show_placeholders": bool(members.get("show_placeholders")),
        "progress": 1.0,
        **_webhooks(members),
        **_of_file(members, file),
    }
    return _insert(tx, schema.room_compositions, members, account_id=account_id, **row)


def _former_room(tx: Transaction, account_id: str, members: Members) -> None:
    """Insert the deleted room of a session: the hosted service lists sessions of rooms that it has deleted."""
    deleted_at = _instant(members["ended_at"])
    limits = {"max_participants": 10, "enable_recording": False, "webhook_event_failover_url": ""}
    former = {"account_id": account_id, "created_at": _instant(members["created_at"]), "deleted_at": deleted_at}
    insert_if_absent(tx, schema.rooms, id=members["room_id"], updated_at=deleted_at, **former, **limits)


def _insert(tx: Transaction, table: Table, members: Members, **row: Any) -> bool:
    created_at = _instant(members["created_at"])
    updated_at = _instant(members.get("updated_at")) or created_at
    return insert_if_absent(tx, table, id=members["id"], created_at=created_at, updated_at=updated_at, **row)


def _exists(tx: Transaction, table: Table, row_id: str) -> bool:
    return tx.execute(select(table.c.id).where(table.c.id == row_id)).first() is not None


def _webhooks(members: Members) -> dict[str, Any]:
    return {
        "webhook_event_url": members.get("webhook_event_url") or None,
        "webhook_event_failover_url": members.get("webhook_event_failover_url") or "",
        "webhook_timeout_secs": members.get("webhook_timeout_secs"),
    }


def _of_file(members: Members, file: FetchedFile) -> dict[str, Any]:
    return {
        "status": "completed",
        "object_key": file.object_key,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "duration_secs": members.get("duration_secs"),
        "started_at": _instant(members.get("started_at")),
        "ended_at": _instant(members.get("ended_at")),
        "completed_at": _instant(members.get("completed_at")),
    }


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
