"""Resources as the API shows them: every member present, null when it has no value."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from portico.core.events import megabytes
from portico.core.model import VIDEO_CODECS, Composition, Participant, Recording, Room, Session
from portico.services import compositions, webhooks
from portico.services.rows import Attempt, AuditEvent, NodeRow
from portico.services.tokens import ClientToken
from portico.services.webhook_log import Logged

T = TypeVar("T")
NO_ANSWER = 0
"""The error code of an attempt that ended without a status; its `error` says why."""


def instant(value: datetime | None) -> str | None:
    """An instant in UTC as text, with six digits of fraction and Z; None for None."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def room(row: Room) -> dict[str, Any]:
    """A room; has `sessions` only when they were requested."""
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
    """A session; has `participants` only when they were requested."""
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
    """A participant; has `label` only when the token of the join has one."""
    members = {
        "id": row.id,
        "session_id": row.session_id,
        "context": row.context,
        "joined_at": instant(row.joined_at),
        "updated_at": instant(row.updated_at),
        "left_at": instant(row.left_at),
        "record_type": "room_participant",
    }
    if row.label is not None:
        members["label"] = row.label
    return members


Link = Callable[[str, str], str]
"""Makes of an object key and a file name a URL that is good for an hour."""


async def with_links(show: Callable[[T, Link], dict[str, Any]], rows: Sequence[T], link: Link) -> list[dict[str, Any]]:
    """Apply `show` to each row in a thread: a store may have to fetch credentials before it signs a link."""
    return await asyncio.to_thread(lambda: [show(row, link) for row in rows])


def recording(row: Recording, link: Link) -> dict[str, Any]:
    """A recording; once there is a file, with a download link that is valid for an hour."""
    return {
        "id": row.id,
        "room_id": row.room_id,
        "session_id": row.session_id,
        "participant_id": row.participant_id,
        "status": row.status,
        "type": row.type,
        "codec": row.codec,
        "size_mb": None if row.size_bytes is None else megabytes(row.size_bytes),
        "duration_secs": row.duration_secs,
        "download_url": None if row.object_key is None else link(row.object_key, row.file_name),
        "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at),
        "completed_at": instant(row.completed_at),
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
        "record_type": "room_recording",
    }


def composition(row: Composition, link: Link) -> dict[str, Any]:
    """With a fresh link, once there is a file. show_placeholders, progress and failure are ours.

    Of a failed one `status` is null: in strict mode the official SDK refuses a whole list for a word it does not know.
    """
    return {
        "id": row.id,
        "room_id": row.room_id,
        "session_id": row.session_id,
        "user_id": row.account_id,
        "status": None if row.status == compositions.FAILED else row.status,
        "progress": row.progress,
        "failure": row.failure,
        "format": row.format,
        "resolution": row.resolution,
        "video_layout": row.video_layout,
        "audio_sources": row.audio_sources,
        "show_placeholders": row.show_placeholders,
        "size_mb": None if row.size_bytes is None else megabytes(row.size_bytes),
        "duration_secs": row.duration_secs,
        "download_url": None if row.object_key is None else link(row.object_key, row.file_name),
        "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at),
        "completed_at": instant(row.completed_at),
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
        "webhook_event_url": row.webhook_event_url,
        "webhook_event_failover_url": row.webhook_event_failover_url,
        "webhook_timeout_secs": row.webhook_timeout_secs,
        "record_type": "room_composition",
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


def webhook_delivery(logged: Logged) -> dict[str, Any]:
    """The hosted service's resource of that name; room_id, attempt_count and the members after it are ours.

    `status` is null until the delivery ends: in strict mode the official SDK refuses a word that it does not know.
    """
    row = logged.delivery
    return {
        "id": row.id,
        "user_id": row.account_id,
        "status": None if row.status == webhooks.PENDING else row.status,
        "webhook": json.loads(row.data),
        "attempts": [_attempt(each) for each in logged.attempts],
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "room_id": row.room_id,
        "attempt_count": row.attempts,
        "next_attempt_at": instant(row.due_at),
        "created_at": instant(row.created_at),
        "record_type": "webhook_delivery",
    }


def audit_event(row: AuditEvent) -> dict[str, Any]:
    """One entry of the audit log."""
    return {
        "id": row.id,
        "key_id": row.key_id,
        "operation": row.operation,
        "object_id": row.object_id,
        "detail": row.detail,
        "request_id": row.request_id,
        "created_at": instant(row.created_at),
        "record_type": "audit_event",
    }


def media_node(row: NodeRow) -> dict[str, Any]:
    """A media node, with its load and without its secrets."""
    return {
        "id": row.id,
        "url": row.url,
        "version": row.version,
        "state": row.state,
        "is_up": row.is_up,
        "participants": row.participants,
        "cpu": row.cpu,
        "packets": row.packets,
        "shortage": row.shortage,
        "recording_paused": row.recording_paused,
        "seen_at": instant(row.seen_at),
        "lost_at": instant(row.lost_at),
        "record_type": "media_node",
    }


def _attempt(row: Attempt) -> dict[str, Any]:
    answered = row.status_code is not None
    response = {
        "status": row.status_code,
        "headers": [list(header) for header in row.response_headers.items()],
        "body": row.response_body,
    }
    return {
        "number": row.number,
        "status": "delivered" if row.delivered else "failed",
        "started_at": instant(row.started_at),
        "finished_at": instant(row.finished_at),
        "latency_ms": round((row.finished_at - row.started_at).total_seconds() * 1000, 1),
        "http": {
            "request": {"url": row.url, "headers": [list(header) for header in row.request_headers.items()]},
            "response": response if answered else None,
        },
        "errors": [] if row.delivered else [row.status_code if answered else NO_ANSWER],
        "error": row.error,
    }


def _whole_seconds(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"
