"""The installation's signing keys: of client tokens, meeting links, links to files, webhooks. Each can be replaced."""

import base64
import secrets
from datetime import datetime, timedelta

from sqlalchemy import select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.runtime.ids import new_id

KEYS = schema.signing_keys
TOKENS, LINKS, FILES, WEBHOOKS = "token", "invite", "file", "webhook"
SETTLE = timedelta(seconds=2)
"""A new key signs only after this, so that by then every process accepts what it signs (app/follow_keys.py)."""
FORGOTTEN_AFTER = timedelta(days=7)
"""A retired key is deleted by the next rotation after this; nothing that it signed is good for so long."""


def ensure(tx: Transaction, purpose: str, now: datetime) -> None:
    """Make the key if the installation has none yet."""
    _insert(tx, purpose, now, now)


def secrets_of(tx: Transaction, purpose: str, *, now: datetime, overlap: timedelta) -> tuple[bytes, ...]:
    """The keys that are accepted, 32 bytes each: the one that signs, then those that were retired within `overlap`
    or do not sign yet. LookupError when there is none."""
    rows = tx.execute(select(KEYS).where(KEYS.c.purpose == purpose).order_by(KEYS.c.active_from, KEYS.c.id)).all()
    accepted = [row for row in rows if row.retired_at is None or row.retired_at > now - overlap]
    if not accepted:
        raise LookupError(f"there is no key for the purpose {purpose}")
    current = next((row for row in accepted if row.retired_at is None), accepted[-1])
    retired = [row for row in accepted if row is not current]
    # The clock may have been set back, or the key have been made just now: its predecessor goes on signing.
    signs = retired[-1] if retired and current.active_from > now else current
    others = [row for row in accepted if row is not signs]
    return tuple(base64.b64decode(row.secret) for row in (signs, *others))


def rotate(tx: Transaction, purpose: str, *, now: datetime, void: bool, after: timedelta = SETTLE) -> None:
    """Make a new key, which signs from `now + after` on, in place of one that does not sign yet if there is one.

    With `void` whatever the former ones signed is void at once.
    """
    if void:
        tx.execute(KEYS.delete().where(KEYS.c.purpose == purpose))
        _insert(tx, purpose, now, now)
        return
    ours = select(KEYS).where(KEYS.c.purpose == purpose).order_by(KEYS.c.active_from, KEYS.c.id)
    tx.execute(ours.with_for_update()).all()  # two rotations at once: the second one reads what the first one made
    rows = tx.execute(ours).all()
    started = [row.id for row in rows if row.active_from <= now] or [row.id for row in rows[:1]]
    tx.execute(KEYS.delete().where(KEYS.c.purpose == purpose, KEYS.c.id.not_in(started)))
    tx.execute(KEYS.delete().where(KEYS.c.purpose == purpose, KEYS.c.retired_at < now - FORGOTTEN_AFTER))
    tx.execute(KEYS.update().where(KEYS.c.id == (started or [None])[-1]).values(retired_at=now + after))
    _insert(tx, purpose, now, now + after)


def _insert(tx: Transaction, purpose: str, now: datetime, active_from: datetime) -> None:
    """Insert a key unless there is one that is not retired, also one that another transaction is just committing."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    new = {"id": new_id(), "purpose": purpose, "secret": secret, "created_at": now, "active_from": active_from}
    insert_if_absent(tx, KEYS, **new)
