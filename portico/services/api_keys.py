"""API keys and the accounts they open. Only hashes are stored: a key is shown once, when it is made."""

import hashlib
import secrets
from datetime import datetime
from uuid import uuid4

from sqlalchemy import bindparam, select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent

DEFAULT_ACCOUNT = "default"
_KEYS = schema.api_keys.c
_ACCOUNT = select(_KEYS.account_id).where(_KEYS.sha256 == bindparam("sha256"), _KEYS.revoked_at.is_(None))


def create(tx: Transaction, account_name: str, now: datetime) -> str:
    """A new key of 256 random bits for this account, which is made when it does not exist."""
    key = f"portico_{secrets.token_urlsafe(32)}"
    admit(tx, key, account_name, now)
    return key


def admit(tx: Transaction, key: str, account_name: str, now: datetime) -> None:
    """Accept this very key for the account. A key that is known already stays as it is."""
    account_id = account_named(tx, account_name, now)
    insert_if_absent(tx, schema.api_keys, id=str(uuid4()), account_id=account_id, sha256=_hash(key), created_at=now)


def account_of(tx: Transaction, key: str) -> str | None:
    """The account that a key opens, or None for an unknown or revoked key.

    Looking up a digest leaks nothing by its timing: an attacker cannot choose the digest's prefix.
    """
    row = tx.execute(_ACCOUNT, {"sha256": _hash(key)}).first()
    return row.account_id if row else None


def any_exist(tx: Transaction) -> bool:
    """False before the first start has made one."""
    return tx.execute(select(schema.api_keys.c.id).limit(1)).first() is not None


def account_named(tx: Transaction, name: str, now: datetime) -> str:
    """The id of this account, which is made when it does not exist."""
    insert_if_absent(tx, schema.accounts, id=str(uuid4()), name=name, created_at=now)
    return str(tx.execute(select(schema.accounts.c.id).where(schema.accounts.c.name == name)).scalar_one())


def _hash(key: str) -> str:
    # A fast hash is enough: keys are random, so there is nothing to guess from a dictionary.
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
