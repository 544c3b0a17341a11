"""Events: facts recorded in the transaction that made them, in order."""

from dataclasses import asdict
from datetime import datetime
from uuid import uuid4

from portico.core.events import Event
from portico.db import schema
from portico.db.engine import Transaction


def record(tx: Transaction, account_id: str, event: Event, now: datetime) -> None:
    """Write the event beside its fact; whoever delivers it finds it there."""
    tx.execute(
        schema.events.insert().values(
            id=str(uuid4()),
            account_id=account_id,
            room_id=event.room_id,
            event_type=event.event_type,
            occurred_at=now,
            payload=asdict(event),
        )
    )
