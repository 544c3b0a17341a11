"""Finished files in the store: whether a row still keeps one, and the key that signs the links to local ones."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select

from portico.core import objects
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent

_PURPOSE = "file"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the row says of its file."""

    size_bytes: int
    sha256: str


def kept(tx: Transaction, object_key: str) -> Kept | None:
    """The recording's or composition's file with this key; None when there is none (any more)."""
    for table, row_id in (
        (schema.room_recordings, objects.recording_of(object_key)),
        (schema.room_compositions, objects.composition_of(object_key)),
    ):
        if row_id is not None:
            columns = select(table.c.size_bytes, table.c.sha256)
            row = tx.execute(columns.where(table.c.id == row_id, table.c.object_key == object_key)).first()
            return None if row is None else Kept(row.size_bytes, row.sha256)
    return None


def is_kept(tx: Transaction, object_key: str) -> bool:
    """Whether a row keeps the object: nobody may delete it then."""
    return kept(tx, object_key) is not None


def link_key(tx: Transaction, now: datetime) -> bytes:
    """The installation's key for links to local files, made at its first start."""
    keys = schema.signing_keys
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    insert_if_absent(tx, keys, id=str(uuid4()), purpose=_PURPOSE, secret=secret, created_at=now)
    current = select(keys.c.secret).where(keys.c.purpose == _PURPOSE, keys.c.retired_at.is_(None))
    return base64.b64decode(tx.execute(current).scalar_one())
