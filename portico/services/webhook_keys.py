"""The keys that sign webhooks, as rows that every process shares: one signs, and one may be announced."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from portico.db import keyfile
from portico.db.engine import Transaction
from portico.db.keyfile import KeyFileError, SigningKey, parse_key
from portico.db.statements import insert_if_absent, insert_those_absent
from portico.runtime.ids import new_id
from portico.services import signing_keys
from portico.services.signing_keys import KEYS, WEBHOOKS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class WebhookKeys:
    """Which key signs now, and which one will. All parts of a process share one, which app/follow_keys.py renews."""

    keys: Sequence[SigningKey]
    """At least one, in the order in which they begin to sign."""
    is_given: bool = False
    """Whether PORTICO_WEBHOOK_PRIVATE_KEY names the key, whatever the rows are."""

    def current(self, now: datetime) -> Ed25519PrivateKey:
        """The key that signs at this instant."""
        # With a clock that was set back even the first key may seem to lie ahead.
        active = [key for key in self.keys if key.active_from <= now] or self.keys[:1]
        return active[-1].private

    def next(self, now: datetime) -> SigningKey | None:
        """The key that will sign later, once one was announced."""
        return next((key for key in self.keys if key.active_from > now), None)

    def replace_with(self, newer: "WebhookKeys") -> None:
        """Use the keys of `newer` from now on, wherever this object is used; a given key stays."""
        if not self.is_given:
            self.keys = newer.keys


def given(setting: str) -> WebhookKeys:
    """The key that the setting names. Raises KeyFileError."""
    return WebhookKeys([SigningKey(parse_key(setting), _EPOCH)], is_given=True)


def load(tx: Transaction, *, setting: str | None, folder: Path, now: datetime) -> WebhookKeys:
    """The key that `setting` names, or else the rows; where there are none they are made.

    They are made of the file in `folder` in which versions up to 0.2.0 kept the keys; without one it is a new key.
    Raises KeyFileError for a setting or a file that cannot be used.
    """
    if setting is not None:
        return given(setting)
    if not _exist(tx):
        if former := keyfile.read_file(folder / keyfile.FILE_NAME):
            _insert(tx, former)
        signing_keys.ensure(tx, WEBHOOKS, now)
    return read(tx)


def read(tx: Transaction) -> WebhookKeys:
    """The keys as they are now. LookupError before the first start."""
    ours = select(KEYS.c.secret, KEYS.c.active_from).where(KEYS.c.purpose == WEBHOOKS)
    rows = tx.execute(ours.order_by(KEYS.c.active_from, KEYS.c.created_at)).all()
    if not rows:
        raise LookupError("there is no key that signs webhooks")
    return WebhookKeys([SigningKey(parse_key(row.secret), row.active_from) for row in rows])


def rotate(tx: Transaction, setting: str | None, *, now: datetime, overlap: timedelta) -> SigningKey:
    """Announce a new key, which signs from `now + overlap` on in every process; receivers accept both until then.

    It replaces a key that was announced and does not sign yet. KeyFileError where `setting` names the key.
    """
    if setting is not None:
        raise KeyFileError("The key is given by PORTICO_WEBHOOK_PRIVATE_KEY: change it there.")
    signing_keys.rotate(tx, WEBHOOKS, now=now, void=False, after=overlap)
    return read(tx).keys[-1]


def _exist(tx: Transaction) -> bool:
    return tx.execute(select(KEYS.c.id).where(KEYS.c.purpose == WEBHOOKS).limit(1)).first() is not None


def _insert(tx: Transaction, keys: Sequence[SigningKey]) -> None:
    """Insert the keys of a file, unless another process has just made a key."""
    rows = [
        {
            "id": new_id(),
            "purpose": WEBHOOKS,
            "secret": base64.b64encode(key.private.private_bytes_raw()).decode(),
            "created_at": key.active_from,
            "active_from": key.active_from,
            "retired_at": None if successor is None else successor.active_from,
        }
        for key, successor in zip(keys, [*keys[1:], None], strict=True)
    ]
    if insert_if_absent(tx, KEYS, **rows[-1]):
        insert_those_absent(tx, KEYS, rows[:-1])
