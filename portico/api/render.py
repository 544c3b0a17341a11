"""Rooms, sessions, participants and tokens as the API shows them: every member present, null when it has no value."""

from datetime import UTC, datetime
from typing import Any

from portico.core.model import VIDEO_CODECS, Participant, Room, Session
from portico.services.tokens import ClientToken


def instant(value: datetime | None) -> str | None:
    """UTC with six digits of fraction and Z."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def room(row: Room) -> dict[str, Any]:
    """`sessions` is there only when they were asked for."""
    members: dict[str, Any] = {
        "id": row.id,
        "unique_name": row.unique_name,
        "max_participants": row.max_participants,
        "enable_recording": row.enable_recording,
        "webhook_event_url": row.webhook_event_url,
        "webhook_event_failover_url": row.webhook_event_failover_url,
        "webhook_timeout_secs": row.webhook_timeout_secs,
        "active_session_id": row.active_session_id,
        "video_codecs": list(VIDEO_CODECS),
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
        "record_type": "room",
    }
    if row.sessions is not None:
        members["sessions"] = [session(each) for each in row.sessions]
    return members


def session(row: Session) -> dict[str, Any]:
    """`participants` is there only when they were asked for."""
    members: dict[str, Any] = {
        "id": row.id,
        "room_id": row.room_id,
        "active": row.active,
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
        "ended_at": instant(row.ended_at),
        "record_type": "room_session",
    }
    if row.participants is not None:
        members["participants"] = [participant(each) for each in row.participants]
    return members


def participant(row: Participant) -> dict[str, Any]:
    return {
        "id": row.id,
        "session_id": row.session_id,
        "context": row.context,
        "joined_at": instant(row.joined_at),
        "updated_at": instant(row.updated_at),
        "left_at": instant(row.left_at),
        "record_type": "room_participant",
    }


def client_token(token: ClientToken) -> dict[str, Any]:
    """Of a refreshed token only the two members that it has; of a generated one also the misspelt record type,
    which the hosted service sends and its Android application reads."""
    members: dict[str, Any] = {"token": token.token, "token_expires_at": _whole_seconds(token.token_expires_at)}
    if token.refresh_token is not None and token.refresh_token_expires_at is not None:
        members["refresh_token"] = token.refresh_token
        members["refresh_token_expires_at"] = _whole_seconds(token.refresh_token_expires_at)
        members["recort_type"] = members["record_type"] = "client_token"
    return members


def _whole_seconds(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"
