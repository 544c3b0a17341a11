"""Finished files in the store: whether a row still keeps one, and the keys that sign the links to local ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from portico.core import links, object_keys
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import signing_keys


@dataclass(frozen=True, slots=True)
class Kept:
    """Size and SHA-256 of a file, as its row has them."""

    size_bytes: int
    sha256: str


@dataclass(slots=True)
class LinkKeys:
    """The keys that are accepted under links to local files: the one that signs, then retired ones."""

    accepted: tuple[bytes, ...]

    def current(self) -> bytes:
        """The key that signs."""
        return self.accepted[0]


def kept(tx: Transaction, object_key: str) -> Kept | None:
    """The recording's or composition's file with this key; None when there is none (any more)."""
    for table, row_id in (
        (schema.room_recordings, object_keys.recording_of(object_key)),
        (schema.room_compositions, object_keys.composition_of(object_key)),
    ):
        if row_id is not None:
            columns = select(table.c.size_bytes, table.c.sha256)
            row = tx.execute(columns.where(table.c.id == row_id, table.c.object_key == object_key)).first()
            return None if row is None else Kept(row.size_bytes, row.sha256)
    return None


def is_kept(tx: Transaction, object_key: str) -> bool:
    """Whether a row refers to the object, which must not be deleted then."""
    return kept(tx, object_key) is not None


def load_link_keys(tx: Transaction, now: datetime) -> LinkKeys:
    """The installation's keys for links to local files, made at its first start."""
    signing_keys.ensure(tx, signing_keys.FILES, now)
    return LinkKeys(read_link_keys(tx, now))


def read_link_keys(tx: Transaction, now: datetime) -> tuple[bytes, ...]:
    """The keys that are accepted now, the one that signs first. LookupError before the first start."""
    return signing_keys.secrets_of(tx, signing_keys.FILES, now=now, overlap=links.GOOD_FOR + timedelta(minutes=1))
