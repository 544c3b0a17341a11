"""API keys and the accounts they open. Only hashes are stored: a key is shown once, when it is made."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select

from portico.core.errors import Forbidden, NotFound
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.schema import Instant
from portico.db.statements import insert_if_absent
from portico.runtime.ids import new_id
from portico.services.rows import KEY_ROWS, KeyRow, ListedKey

DEFAULT_ACCOUNT = "default"
KEYS = schema.api_keys
ACCOUNTS = schema.accounts
_GENERATED = re.compile(r"portico_[A-Za-z0-9_-]{43}")
_FIND = select(KEYS.c.id, KEYS.c.account_id, KEYS.c.scopes, KEYS.c.last_used_at).where(
    KEYS.c.sha256 == bindparam("sha256"),
    KEYS.c.revoked_at.is_(None),
    or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > bindparam("now", type_=Instant)),
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A valid key: which account it opens, what it may do there (None: everything), and when it was last used."""

    id: str
    account_id: str
    scopes: tuple[str, ...] | None
    last_used_at: datetime | None


def account_ids(tx: Transaction) -> list[str]:
    """The ids of all accounts."""
    return list(tx.execute(select(ACCOUNTS.c.id)).scalars())


def are_several_accounts(tx: Transaction) -> bool:
    """Whether more than one account exists."""
    return len(tx.execute(select(ACCOUNTS.c.id).limit(2)).all()) > 1


def expect_operator(tx: Transaction, account_id: str) -> None:
    """Raise Forbidden unless the account is DEFAULT_ACCOUNT, whose keys act on the whole installation."""
    if tx.execute(select(ACCOUNTS.c.name).where(ACCOUNTS.c.id == account_id)).scalar_one() != DEFAULT_ACCOUNT:
        raise Forbidden(f"This concerns the installation: only keys of the account {DEFAULT_ACCOUNT} may do it.")


def create(
    tx: Transaction,
    account_name: str,
    now: datetime,
    *,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
) -> str:
    """A new key of 256 random bits for this account, which is made when it does not exist."""
    return _insert_new(tx, account_named(tx, account_name, now), now, name, scopes)


def admit(tx: Transaction, key: str, account_name: str, now: datetime) -> None:
    """Insert this key, chosen by the caller, for the account. A key that exists already is not changed."""
    account_id = account_named(tx, account_name, now)
    insert_if_absent(tx, KEYS, id=new_id(), account_id=account_id, sha256=digest(key), created_at=now)


def admit_setting(tx: Transaction, key: str, now: datetime) -> bool:
    """Accept the key of PORTICO_API_KEY for the default account, and make void the key that the setting had before.

    False when this key was revoked: it stays void. A key that `create` made stays valid when the setting changes, even
    if the setting has named it.
    """
    admit(tx, key, DEFAULT_ACCOUNT, now)
    this = KEYS.c.sha256 == digest(key)
    if not is_generated(key):
        # It became void because the setting had another value, not by `revoke`: named again, it is valid again.
        back = this & (KEYS.c.from_setting | KEYS.c.revoked_at.is_(None))
        tx.execute(KEYS.update().where(back).values(from_setting=True, revoked_at=None))
    former = KEYS.c.from_setting & KEYS.c.revoked_at.is_(None) & (KEYS.c.sha256 != digest(key))
    tx.execute(KEYS.update().where(former).values(revoked_at=now))
    return find(tx, key, now=now) is not None


def find(tx: Transaction, key: str, *, now: datetime) -> ApiKey | None:
    """The key, or None for an unknown or revoked one.

    Looking up a digest leaks nothing by its timing: an attacker cannot choose the digest's prefix.
    """
    row = tx.execute(_FIND, {"sha256": digest(key), "now": now}).first()
    if row is None:
        return None
    return ApiKey(row.id, row.account_id, None if row.scopes is None else tuple(row.scopes), row.last_used_at)


def note_use(tx: Transaction, key_id: str, at: datetime) -> None:
    """Write when the key was last used, unless a later use is written already."""
    earlier = or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < at)
    tx.execute(KEYS.update().where(KEYS.c.id == key_id, earlier).values(last_used_at=at))


def list_keys(tx: Transaction, *, account_name: str | None = None) -> list[ListedKey]:
    """All keys with the names of their accounts, oldest first; revoked ones too."""
    listed = (
        select(*KEY_ROWS.columns, ACCOUNTS.c.name.label("account"))
        .join(ACCOUNTS)
        .order_by(KEYS.c.created_at, KEYS.c.id)
    )
    if account_name is not None:
        listed = listed.where(ACCOUNTS.c.name == account_name)
    return [ListedKey(**row._mapping) for row in tx.execute(listed)]


def revoke(tx: Transaction, key_id: str, *, now: datetime) -> None:
    """Make the key void, also where PORTICO_API_KEY names it. Raises NotFound when there is no such key."""
    key = _locked(tx, key_id)
    tx.execute(KEYS.update().where(KEYS.c.id == key_id).values(revoked_at=key.revoked_at or now, from_setting=False))


def rotate(tx: Transaction, key_id: str, *, now: datetime, overlap: timedelta) -> str:
    """A new key with the account, name and scopes of `key_id`, which stays valid for `overlap` only.

    Raises NotFound when there is no such key, or it is void already.
    """
    key = _locked(tx, key_id)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise NotFound(f"The API key {key_id} is void already.")
    ends = {"expires_at": now + overlap} if overlap else {"revoked_at": now}
    tx.execute(KEYS.update().where(KEYS.c.id == key_id).values(**ends, from_setting=False))
    return _insert_new(tx, key.account_id, now, key.name, key.scopes)


def owner_of(tx: Transaction, key_id: str) -> str | None:
    """The account id of a key, valid or void; None when there is no such key."""
    row = tx.execute(select(KEYS.c.account_id).where(KEYS.c.id == key_id)).first()
    return row.account_id if row else None


def any_exist(tx: Transaction) -> bool:
    """Whether there is any API key; False before the first start."""
    return tx.execute(select(KEYS.c.id).limit(1)).first() is not None


def account_named(tx: Transaction, name: str, now: datetime) -> str:
    """The id of this account, which is made when it does not exist."""
    insert_if_absent(tx, ACCOUNTS, id=new_id(), name=name, created_at=now)
    return str(tx.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.name == name)).scalar_one())


def is_generated(key: str) -> bool:
    """Whether the key has the form of keys that `create` makes, which cannot be guessed."""
    return _GENERATED.fullmatch(key) is not None


def digest(key: str) -> str:
    """The SHA-256 of a key, which is stored instead of the key."""
    # A fast hash is enough: keys are random, so there is nothing to guess from a dictionary.
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _insert_new(tx: Transaction, account_id: str, now: datetime, name: str | None, scopes: Sequence[str] | None) -> str:
    key = f"portico_{secrets.token_urlsafe(32)}"
    row = {"id": new_id(), "account_id": account_id, "sha256": digest(key), "created_at": now}
    chosen = {"name": name, "scopes": None if scopes is None else list(scopes)}
    tx.execute(KEYS.insert().values(**row, **chosen))
    return key


def _locked(tx: Transaction, key_id: str) -> KeyRow:
    key = KEY_ROWS.first(tx, KEY_ROWS.select(KEYS.c.id == key_id).with_for_update())
    if key is None:
        raise NotFound(f"There is no API key {key_id}.")
    return key
