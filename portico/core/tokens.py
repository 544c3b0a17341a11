"""Client tokens: the claims of a JWT of ours, how one is issued, and how one is verified (contract section 4)."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TokenKind = Literal["access", "refresh"]
TOKEN_LENGTH_MAX = 4096
"""Characters; ours have 700 to 2,800. A longer text is refused before it is parsed."""
_ISSUER = "telnyx_access_token"
_OURS = "portico"
"""The claim with the permissions, which tokens of the hosted service do not have; absent where all are defaults."""
_HEADER = {"alg": "Ed25519", "typ": "JWT"}
_ALGORITHMS = {"Ed25519", "EdDSA"}
"""RFC 9864's name of the algorithm, and the older one of RFC 8037. Any other is refused."""


class TokenRefused(Exception):
    """A token is not valid; str() says why. `expired` is True when that is the only fault."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


# joserfc was tried for signing and checking: 88 us of CPU to issue a token where this takes 53 (38 are the signature),
# 174 to check one where this takes 168 (119 are the signature). Both refuse a header with unknown members.


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a token allows beyond joining, and the name of its holder. Defaults are not written into a token."""

    participant: str | None = None
    can_publish: bool = True
    can_subscribe: bool = True
    can_send_messages: bool = True


ALL_PERMISSIONS = Permissions()
GRANT_ID_LENGTH = 18


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid token."""

    room_id: str
    account_id: str
    jti: str
    expires_at: datetime
    permissions: Permissions = ALL_PERMISSIONS

    @property
    def grant_id(self) -> str:
        """The id of the grant: the first 18 characters of the jti, which are the same in all tokens of the grant."""
        return self.jti[:GRANT_ID_LENGTH]


def related(jti: str, random: str) -> str:
    """The jti of another token of the same grant: the UUID `random` with the grant id of `jti`, still of version 4."""
    return jti[:GRANT_ID_LENGTH] + random[GRANT_ID_LENGTH:]


def issue(
    kind: TokenKind,
    key: Ed25519PrivateKey,
    *,
    account_id: str,
    room_id: str,
    jti: str,
    now: datetime,
    ttl_secs: int,
    permissions: Permissions = ALL_PERMISSIONS,
) -> tuple[str, datetime]:
    """A signed token and the instant at which it expires, in whole seconds."""
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "aud": _ISSUER,
        "exp": issued + ttl_secs,
        "grants": [
            {
                "actions": ["join"],
                "resources": [_resource(room_id)],
                "subjects": [f"telnyx:users:{account_id}"],
            }
        ],
        "grants_version": "1.0.0",
        "iat": issued,
        "iss": _ISSUER,
        "jti": jti,
        "nbf": issued - 1,
        "sub": "null",
        "typ": kind,
    }
    if permissions != ALL_PERMISSIONS:
        chosen = asdict(permissions).items()
        claims[_OURS] = {name: value for name, value in chosen if value != getattr(ALL_PERMISSIONS, name)}
    signed = f"{_header()}.{_base64url(_json(claims))}"
    token = f"{signed}.{_base64url(key.sign(signed.encode()))}"
    return token, datetime.fromtimestamp(issued + ttl_secs, UTC)


def verify(
    token: str,
    kind: TokenKind,
    keys: Sequence[Ed25519PublicKey],
    *,
    room_id: str,
    now: datetime,
    leeway: timedelta = timedelta(0),
) -> Claims:
    """The claims of a token that one of `keys` signed, of this kind, for this room, not expired; else TokenRefused."""
    claims = _signed_claims(token, keys)
    if claims.get("iss") != _ISSUER or claims.get("aud") != _ISSUER or claims.get("typ") != kind:
        raise TokenRefused(f"This is not {'an access' if kind == 'access' else 'a refresh'} token.")
    match claims:
        case {
            "exp": int(expires),
            "nbf": int(not_before),
            "jti": str(jti),
            "grants": [{"actions": ["join"], "resources": [str(resource)], "subjects": [str(subject)]}],
        }:
            pass
        case _:
            raise TokenRefused("The token's claims are incomplete.")
    if resource != _resource(room_id):
        raise TokenRefused("The token is for another room.")
    if (now + leeway).timestamp() < not_before:
        raise TokenRefused("The token is not valid yet.")
    if (now - leeway).timestamp() >= expires:
        raise TokenRefused("The token has expired.", expired=True)
    account_id = subject.removeprefix("telnyx:users:")
    return Claims(room_id, account_id, jti, datetime.fromtimestamp(expires, UTC), _permissions(claims.get(_OURS, {})))


def _permissions(special: object) -> Permissions:
    match special:
        case dict() if special.keys() <= set(Permissions.__slots__):
            return Permissions(**special)
    raise TokenRefused("The token's permissions are not known here.")


def _signed_claims(token: str, keys: Sequence[Ed25519PublicKey]) -> dict[str, Any]:
    """The payload of a compact JWS (RFC 7515) that one of `keys` signed with Ed25519. Raises TokenRefused."""
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii() or token.count(".") != 2:
        raise TokenRefused("The token is malformed.")
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    # A header with anything else in it, `crit` above all, asks for rules that we do not have.
    match _parsed(header):
        case {"alg": str(algorithm), **others} if algorithm in _ALGORITHMS and others in ({}, {"typ": "JWT"}):
            pass
        case _:
            raise TokenRefused("The token's algorithm is not ours.")
    if not any(_signed_by(key, signed, signature) for key in keys):
        raise TokenRefused("The token's signature is not ours.")
    return _parsed(payload)


def _signed_by(key: Ed25519PublicKey, signed: str, signature: str) -> bool:
    try:
        raw = _bytes(signature)
        key.verify(raw, signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return _base64url(raw) == signature  # the unused bits of the last character are part of the text


def _parsed(part: str) -> dict[str, Any]:
    try:
        members = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        raise TokenRefused("The token is malformed.") from None
    if not isinstance(members, dict):
        raise TokenRefused("The token is malformed.")
    return members


@cache
def _header() -> str:
    return _base64url(_json(_HEADER))


def _resource(room_id: str) -> str:
    return f"telnyx:video:rooms:{room_id}"


def _json(members: dict[str, Any]) -> bytes:
    # As UTF-8: escaped, a label in an alphabet far from ASCII would make the token longer than TOKEN_LENGTH_MAX.
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


def _bytes(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
