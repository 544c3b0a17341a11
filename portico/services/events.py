"""Events: facts recorded in the transaction that made them, in order."""

from dataclasses import asdict
from datetime import datetime

from portico.core.events import Event
from portico.core.webhook import event_json
from portico.db import schema
from portico.db.engine import Transaction
from portico.runtime.ids import new_id
from portico.services import webhooks
from portico.services.webhooks import Destination

_INSERT = schema.events.insert()


def record(
    tx: Transaction,
    account_id: str,
    event: Event,
    now: datetime,
    destination: Destination | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Write the event and its delivery in the transaction of the fact, so that none exists without the others.

    The delivery goes to `destination`, by default to the room's webhook. The event occurred at `occurred_at`, which is
    `now` unless it is found out later; its delivery is due now.
    """
    occurred_at = occurred_at or now
    event_id, payload = new_id(), asdict(event)
    row = {
        "id": event_id,
        "account_id": account_id,
        "room_id": event.room_id,
        "event_type": event.event_type,
        "occurred_at": occurred_at,
        "payload": payload,
    }
    tx.execute(_INSERT, row)
    data = event_json(event_id=event_id, event_type=event.event_type, occurred_at=occurred_at, payload=payload)
    webhooks.enqueue(tx, account_id, event.room_id, event.event_type, data, now, destination)
