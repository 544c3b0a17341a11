"""Client tokens and invitations: made for a room that exists, with keys that every process shares."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import bindparam, select

from portico.core import tokens
from portico.core.errors import Forbidden, NotFound
from portico.core.tokens import ALL_PERMISSIONS, Claims, Permissions
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import Prepared, insert_if_absent
from portico.runtime.ids import new_id
from portico.services import signing_keys
from portico.services.rows import ParticipantRow

TOKEN_TTL_SECS = 600
REFRESH_TOKEN_TTL_SECS = 3600
TOKEN_TTL_MAX_SECS = 3600
REFRESH_TOKEN_TTL_MAX_SECS = 86400
LONGEST_LIFE = timedelta(seconds=REFRESH_TOKEN_TTL_MAX_SECS + TOKEN_TTL_MAX_SECS)
"""The longest life of a token together with what is refreshed from it at the last moment."""
HELD = schema.participant_tokens
REVOKED = schema.revoked_tokens
TOKEN_KEY_OVERLAP = LONGEST_LIFE + timedelta(minutes=1)
"""How long a retired key is accepted: until everything has expired that was signed with it."""
_ROOM = schema.rooms.c
_LINK_GENERATION = Prepared(select(_ROOM.link_generation).where(_ROOM.id == bindparam("room")))
_OWNER = Prepared(select(_ROOM.account_id).where(_ROOM.id == bindparam("room"), _ROOM.deleted_at.is_(None)))


@dataclass(slots=True)
class TokenKeys:
    """The keys of client tokens and meeting links. Retired keys verify tokens for TOKEN_KEY_OVERLAP."""

    current: Ed25519PrivateKey
    accepted: tuple[Ed25519PublicKey, ...]
    invite: bytes

    def replace_with(self, newer: "TokenKeys") -> None:
        """Use the keys of `newer` from now on, wherever this object is used."""
        self.current, self.accepted, self.invite = newer.current, newer.accepted, newer.invite


@dataclass(frozen=True, slots=True)
class ClientToken:
    """An answer of generate (all members) or refresh (without a refresh token)."""

    token: str
    token_expires_at: datetime
    refresh_token: str | None = None
    refresh_token_expires_at: datetime | None = None


def load_keys(tx: Transaction, now: datetime) -> TokenKeys:
    """The keys of this installation, made at its first start."""
    for purpose in (signing_keys.TOKENS, signing_keys.LINKS):
        signing_keys.ensure(tx, purpose, now)
    return read_keys(tx, now)


def read_keys(tx: Transaction, now: datetime) -> TokenKeys:
    """The keys that are to be used now. LookupError before the first start."""
    signed = signing_keys.secrets_of(tx, signing_keys.TOKENS, now=now, overlap=TOKEN_KEY_OVERLAP)
    pairs = [Ed25519PrivateKey.from_private_bytes(secret) for secret in signed]
    invite = signing_keys.secrets_of(tx, signing_keys.LINKS, now=now, overlap=timedelta(0))[0]
    return TokenKeys(pairs[0], tuple(pair.public_key() for pair in pairs), invite)


def generate(
    tx: Transaction,
    keys: TokenKeys,
    account_id: str,
    room_id: str,
    *,
    now: datetime,
    token_ttl_secs: int = TOKEN_TTL_SECS,
    refresh_token_ttl_secs: int = REFRESH_TOKEN_TTL_SECS,
    permissions: Permissions = ALL_PERMISSIONS,
    jti: str | None = None,
) -> ClientToken:
    """A pair of tokens for a room of this account, of the grant of `jti` or of a new one; NotFound without the room."""
    if _owner(tx, room_id) != account_id:
        raise NotFound
    issue = partial(
        tokens.issue, key=keys.current, account_id=account_id, room_id=room_id, now=now, permissions=permissions
    )
    jti = tokens.related(jti, new_id()) if jti is not None else new_id()
    return ClientToken(
        *issue("access", jti=tokens.related(jti, new_id()), ttl_secs=token_ttl_secs),
        *issue("refresh", jti=jti, ttl_secs=refresh_token_ttl_secs),
    )


def refresh(
    tx: Transaction,
    keys: TokenKeys,
    room_id: str,
    refresh_token: str,
    *,
    now: datetime,
    token_ttl_secs: int = TOKEN_TTL_SECS,
) -> ClientToken:
    """A new access token of the same grant. The refresh token stays valid; Forbidden if it is not for the room."""
    try:
        claims = tokens.verify(refresh_token, "refresh", keys.accepted, room_id=room_id, now=now)
    except tokens.TokenRefused as refused:
        raise Forbidden(str(refused), expired=refused.expired) from None
    if complaint := complaint_about(tx, claims):
        raise Forbidden(complaint)
    return ClientToken(
        *tokens.issue(
            "access",
            keys.current,
            account_id=claims.account_id,
            room_id=room_id,
            jti=tokens.related(claims.jti, new_id()),
            now=now,
            ttl_secs=token_ttl_secs,
            permissions=claims.permissions,
        )
    )


def complaint_about(tx: Transaction, claims: Claims) -> str | None:
    """Why a token with a valid signature is refused: its room is deleted, or its grant is revoked; None if neither."""
    if _owner(tx, claims.room_id) != claims.account_id:
        return "The token's room does not exist."
    if is_revoked(tx, claims):
        return "The token was revoked."
    return None


def is_revoked(tx: Transaction, claims: Claims) -> bool:
    """Whether the grant of the token is revoked: its holder was kicked with `revoke`."""
    return _is_grant_revoked(tx, claims.grant_id)


def _is_grant_revoked(tx: Transaction, grant_id: str) -> bool:
    return tx.execute(select(REVOKED.c.grant_id).where(REVOKED.c.grant_id == grant_id)).first() is not None


def note_shown(tx: Transaction, participant_id: str, claims: Claims) -> None:
    """Write that a participant has shown this token, so that its grant can be revoked."""
    insert_if_absent(tx, HELD, participant_id=participant_id, grant_id=claims.grant_id)


def has_revoked(tx: Transaction, participant_id: str) -> bool:
    """Whether any token that this participant has shown is revoked."""
    both = select(HELD.c.grant_id).join(REVOKED, REVOKED.c.grant_id == HELD.c.grant_id)
    return tx.execute(both.where(HELD.c.participant_id == participant_id).limit(1)).first() is not None


def revoke_those_of(tx: Transaction, participants: Iterable[ParticipantRow], now: datetime) -> None:
    """Revoke the grants of all tokens that these participants have shown."""
    for participant in participants:
        held = select(HELD.c.grant_id).where(HELD.c.participant_id == participant.id)
        for (grant_id,) in tx.execute(held).all():
            insert_if_absent(tx, REVOKED, grant_id=grant_id, room_id=participant.room_id, forget_at=now + LONGEST_LIFE)


def forget_expired(tx: Transaction, now: datetime) -> int:
    """Delete revocations of grants whose tokens have all expired; returns their number."""
    return tx.execute(REVOKED.delete().where(REVOKED.c.forget_at <= now)).rowcount


def invite(keys: TokenKeys, room_id: str, generation: int = 0) -> str:
    """The last part of a meeting link: 22 characters that only this installation can make for this room.

    `generation` is that of the room's row: only the link of this generation is valid.
    """
    # Generation 0 is written without its number: links that were made before rooms had generations stay valid.
    return _digest(keys, f"link {generation}:{room_id}" if generation else room_id)


def grant(keys: TokenKeys, room_id: str, jti: str | None = None) -> str:
    """The cookie that ties a browser to one grant of a room: `jti` (a new one by default), a dot and our HMAC of it."""
    jti = jti or new_id()
    return f"{jti}.{_digest(keys, f'grant:{room_id}:{jti}')}"


def redeem(
    tx: Transaction, keys: TokenKeys, room_id: str, invitation: str, *, now: datetime, shown: str | None = None
) -> ClientToken:
    """Tokens for the holder of a meeting link; NotFound for a wrong or void link and for a room that is gone.

    `shown` is the browser's cookie, made by `grant`: the tokens are then of that grant. Raises Forbidden if a kick with
    `revoke` has revoked it. Any other text counts as no cookie.
    """
    owner = check_invitation(tx, keys, room_id, invitation)
    jti = granted(keys, room_id, shown)
    pair = generate(tx, keys, owner, room_id, now=now, jti=jti)
    if jti is not None and _is_grant_revoked(tx, jti[: tokens.GRANT_ID_LENGTH]):
        raise Forbidden("You were removed from this meeting.")
    return pair


def check_invitation(tx: Transaction, keys: TokenKeys, room_id: str, invitation: str) -> str:
    """The account of the room that a meeting link opens; NotFound as for redeem."""
    expected = invite(keys, room_id, link_generation(tx, room_id))
    if not hmac.compare_digest(expected.encode(), invitation.encode(errors="replace")):
        raise NotFound("This meeting link is not valid.")
    owner = _owner(tx, room_id)
    if owner is None:
        raise NotFound("This meeting room does not exist any more.")
    return owner


def link_generation(tx: Transaction, room_id: str) -> int:
    """The generation of the room's valid meeting link; 0 for a room that never was."""
    return next((generation for (generation,) in _LINK_GENERATION.run(tx, {"room": room_id})), 0)


def granted(keys: TokenKeys, room_id: str, shown: str | None) -> str | None:
    """The jti in a cookie that `grant` made for this room; None for any other text."""
    jti, _, _ = (shown or "").partition(".")
    is_ours = shown is not None and hmac.compare_digest(
        grant(keys, room_id, jti).encode(errors="replace"), shown.encode(errors="replace")
    )
    return jti if is_ours and jti else None


def _digest(keys: TokenKeys, text: str) -> str:
    digest = hmac.new(keys.invite, text.encode(errors="replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def check_access(tx: Transaction, keys: TokenKeys, room_id: str, token: str, *, now: datetime) -> None:
    """Check that this access token admits to the room. Raises Forbidden otherwise."""
    try:
        claims = tokens.verify(token, "access", keys.accepted, room_id=room_id, now=now)
    except tokens.TokenRefused as refused:
        raise Forbidden(str(refused), expired=refused.expired) from None
    if complaint := complaint_about(tx, claims):
        raise Forbidden(complaint)


def _owner(tx: Transaction, room_id: str) -> str | None:
    return next((account_id for (account_id,) in _OWNER.run(tx, {"room": room_id})), None)
