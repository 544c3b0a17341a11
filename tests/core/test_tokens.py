"""Client tokens against contract section 4: every claim, and every text that must not admit."""

import base64
import hashlib
import hmac
import itertools
import json
import string
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portico.core import tokens
from portico.core.tokens import ALL_PERMISSIONS, TOKEN_LENGTH_MAX, Claims, Permissions, TokenKind, TokenRefused

ROOM = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
OTHER_ROOM = "1ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
ACCOUNT = "7b61621f-62e0-4aad-ab11-9fd19e272e73"
JTI = "6b61621f-62e0-4aad-ab11-9fd19e272e73"
NOW = datetime(2026, 2, 2, 22, 25, 27, 521992, tzinfo=UTC)
HEADER = {"alg": "Ed25519", "typ": "JWT"}


def test_the_header_is_the_one_of_the_hosted_service_byte_for_byte() -> None:
    assert _decoded(_token().split(".")[0]) == b'{"alg":"Ed25519","typ":"JWT"}'


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_every_claim(kind: TokenKind) -> None:
    token, expires_at = _issue(kind, ttl_secs=600)
    issued = int(NOW.timestamp())
    assert json.loads(_decoded(token.split(".")[1])) == {
        "aud": "telnyx_access_token",
        "iss": "telnyx_access_token",
        "exp": issued + 600,
        "iat": issued,
        "nbf": issued - 1,
        "jti": JTI,
        "sub": "null",
        "typ": kind,
        "grants": [
            {
                "actions": ["join"],
                "resources": [f"telnyx:video:rooms:{ROOM}"],
                "subjects": [f"telnyx:users:{ACCOUNT}"],
            }
        ],
        "grants_version": "1.0.0",
    }
    assert expires_at == datetime(2026, 2, 2, 22, 35, 27, tzinfo=UTC), "whole seconds, equal to exp"


def test_the_signature_is_plain_ed25519_over_the_first_two_parts() -> None:
    signed, _, signature = _token().rpartition(".")
    assert len(_decoded(signature)) == 64
    _private().public_key().verify(_decoded(signature), signed.encode())  # raises when it is not


def test_no_part_is_padded() -> None:
    assert "=" not in _token()


def test_a_good_token_has_the_claims_that_it_was_issued_with() -> None:
    claims = tokens.verify(_token(), "access", [_key()], room_id=ROOM, now=NOW)
    assert (claims.room_id, claims.account_id, claims.jti) == (ROOM, ACCOUNT, JTI)
    assert claims.expires_at == datetime(2026, 2, 2, 22, 35, 27, tzinfo=UTC)


def test_a_retired_key_still_verifies() -> None:
    assert tokens.verify(_token(), "access", [_key(2), _key(3), _key()], room_id=ROOM, now=NOW).jti == JTI


def test_the_older_name_of_the_algorithm_is_accepted() -> None:
    assert tokens.verify(_forged(header={"alg": "EdDSA", "typ": "JWT"}), "access", [_key()], room_id=ROOM, now=NOW)


@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA"])
def test_another_installations_key_is_refused(alg: str) -> None:
    _refuses(_forged(header={"alg": alg, "typ": "JWT"}, seed=2))


def test_without_keys_every_token_is_refused() -> None:
    with pytest.raises(TokenRefused):
        tokens.verify(_token(), "access", [], room_id=ROOM, now=NOW)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
@pytest.mark.parametrize("signed", [False, True])
def test_an_unsigned_algorithm_is_refused(alg: str, signed: bool) -> None:
    token = _forged(header={"alg": alg, "typ": "JWT"})
    _refuses(token if signed else token.rpartition(".")[0] + ".")


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_public_key_is_no_shared_secret(digest: str) -> None:
    """The classic confusion: an HMAC whose secret is public."""
    public = _private().public_key().public_bytes_raw()
    signed = _signed_text({"alg": f"HS{digest.removeprefix('sha')}", "typ": "JWT"}, _claims())
    _refuses(f"{signed}.{_encoded(hmac.new(public, signed.encode(), digest).digest())}")


def test_the_telephony_token_of_the_official_examples_is_refused() -> None:
    claims = _claims(iss="telnyx_telephony", aud="telnyx_telephony", typ="tel_token")
    signed = _signed_text({"alg": "HS512", "typ": "JWT"}, claims)
    _refuses(f"{signed}.{_encoded(hashlib.sha512(signed.encode()).digest())}")
    _refuses(_forged(**claims))


def test_the_key_inside_the_header_is_not_believed() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": _encoded(_key(2).public_bytes_raw())}
    _refuses(_forged(header=HEADER | {"jwk": jwk}, seed=2))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_no_character_can_be_changed(part: int) -> None:
    parts = _token().split(".")
    text = parts[part]
    for place, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        _refuses(".".join([*parts[:part], text[:place] + other + text[place + 1 :], *parts[part + 1 :]]))


def test_the_two_parts_of_two_good_tokens_do_not_mix() -> None:
    one, two = _token().split("."), _issue("access", room_id=OTHER_ROOM)[0].split(".")
    _refuses(".".join([one[0], two[1], one[2]]))


def test_another_rooms_token_is_refused() -> None:
    _refuses(_issue("access", room_id=OTHER_ROOM)[0])


@pytest.mark.parametrize(("issued", "asked"), [("refresh", "access"), ("access", "refresh")])
def test_the_kinds_do_not_stand_in_for_one_another(issued: TokenKind, asked: TokenKind) -> None:
    _refuses(_issue(issued)[0], kind=asked)


def test_a_token_is_good_until_exp_and_not_at_exp() -> None:
    token, expires_at = _issue("access", ttl_secs=10)
    assert tokens.verify(token, "access", [_key()], room_id=ROOM, now=expires_at - timedelta(microseconds=1))
    with pytest.raises(TokenRefused) as refusal:
        tokens.verify(token, "access", [_key()], room_id=ROOM, now=expires_at)
    assert refusal.value.expired


def test_leeway_lengthens_a_token_by_itself_and_no_more() -> None:
    token, expires_at = _issue("access", ttl_secs=10)
    leeway = timedelta(seconds=5)
    last = expires_at + leeway - timedelta(microseconds=1)
    assert tokens.verify(token, "access", [_key()], room_id=ROOM, now=last, leeway=leeway)
    with pytest.raises(TokenRefused):
        tokens.verify(token, "access", [_key()], room_id=ROOM, now=expires_at + leeway, leeway=leeway)


def test_only_a_token_that_is_otherwise_good_is_called_expired() -> None:
    """An expired token and a forged one have different answers, so that clients know to refresh (contract 1.7)."""
    token, expires_at = _issue("access", ttl_secs=10)
    for room, kind, key in [(OTHER_ROOM, "access", 1), (ROOM, "refresh", 1), (ROOM, "access", 2)]:
        with pytest.raises(TokenRefused) as refusal:
            tokens.verify(token, kind, [_key(key)], room_id=room, now=expires_at)  # type: ignore[arg-type]
        assert not refusal.value.expired


def test_a_token_of_the_future_is_refused() -> None:
    _refuses(_token(), now=NOW - timedelta(seconds=3))


def test_an_oversized_token_is_refused_even_when_its_signature_is_good() -> None:
    _refuses(_forged(padding="x" * TOKEN_LENGTH_MAX))


@pytest.mark.parametrize("text", ["", ".", "..", "...", "....", "a.b", "a.b.c", "a.b.c.d", "\0", "null", "undefined"])
def test_texts_of_the_wrong_shape_are_refused(text: str) -> None:
    _refuses(text)


@pytest.mark.parametrize("junk", [" ", "\n", "\t", "=", ".", "\0", "é", "\ud800", "\u200b", "\U0001f600", "A"])
def test_nothing_may_stand_before_or_behind_a_token(junk: str) -> None:
    _refuses(junk + _token())
    _refuses(_token() + junk)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "another"},
        {"aud": ["telnyx_access_token"]},
        {"aud": None},
        {"typ": None},
        {"exp": "1794000000"},
        {"exp": None},
        {"exp": 9e99},
        {"nbf": None},
        {"jti": None},
        {"grants": []},
        {"grants": None},
        {
            "grants": [
                {"actions": [], "resources": [f"telnyx:video:rooms:{ROOM}"], "subjects": [f"telnyx:users:{ACCOUNT}"]}
            ]
        },
        {"grants": [{"actions": ["join"], "resources": [], "subjects": [f"telnyx:users:{ACCOUNT}"]}]},
        {"grants": [{"actions": ["join"], "resources": [f"telnyx:video:rooms:{ROOM}"], "subjects": []}]},
        {"grants": [{"actions": ["join"], "resources": ["*"], "subjects": [f"telnyx:users:{ACCOUNT}"]}]},
    ],
)
def test_claims_that_we_do_not_issue_are_refused(claims: dict[str, Any]) -> None:
    _refuses(_forged(**claims))


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b"null", b'"x"', b"{", b"\xff\xfe", b"{}"])
def test_payloads_that_are_not_claims_are_refused(payload: bytes) -> None:
    signed = f"{_encoded(json.dumps(HEADER).encode())}.{_encoded(payload)}"
    _refuses(f"{signed}.{_encoded(_private().sign(signed.encode()))}")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"true",
        b'"alg"',
        b'["alg"]',
        b"{}",
        b'{"typ":"JWT"}',
        b'{"alg":null}',
        b'{"alg":5}',
        b'{"alg":[]}',
        b'{"alg":{}}',
        b'{"alg":"Ed25519","typ":5}',
        b'{"alg":"Ed25519","kid":[]}',
        b'{"alg":"Ed25519","crit":1}',
        b'{"alg":"Ed25519","crit":null}',
        b'{"alg":"Ed25519","crit":["exp"]}',
        b'{"alg":"Ed25519","crit":[[]]}',
        b'{"alg":"Ed25519","crit":["b64"],"b64":false}',
        b'{"alg":"Ed25519","b64":false}',
        b"\xff\xfe",
        b"[" * 300,
        b"[" * 2500,
        b'{"a":' * 500,
    ],
    ids=lambda header: repr(header[:40]),
)
def test_headers_that_any_client_may_write_are_refused(header: bytes) -> None:
    """The header is read before the signature, so a caller may put anything there."""
    _, payload, signature = _token().split(".")
    _refuses(f"{_encoded(header)}.{payload}.{signature}")


# What tokens allow, and whose they are.


def test_a_token_that_allows_everything_says_nothing_that_the_hosted_service_does_not() -> None:
    claims = json.loads(_decoded(_issue("access", permissions=Permissions())[0].split(".")[1]))
    assert claims.keys() == _claims().keys()
    assert "portico" not in claims


@pytest.mark.parametrize("participant", [None, "viewer-1", "", "Änna 😀", "x" * 255, "😀" * 255, "\x01" * 255])
@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_permissions_come_back_as_they_were_given(kind: TokenKind, participant: str | None) -> None:
    for allowed in itertools.product([True, False], repeat=3):
        permissions = Permissions(participant, *allowed)
        token, _ = _issue(kind, permissions=permissions)
        assert len(token) < TOKEN_LENGTH_MAX
        assert tokens.verify(token, kind, [_key()], room_id=ROOM, now=NOW).permissions == permissions


def test_a_token_names_only_what_it_takes_away() -> None:
    token, _ = _issue("access", permissions=Permissions(can_publish=False))
    assert json.loads(_decoded(token.split(".")[1]))["portico"] == {"can_publish": False}


@pytest.mark.parametrize("special", [None, [], "all", 7, {"can_fly": True}, {"can_publish": False, "can_record": True}])
def test_permissions_of_a_later_version_are_not_guessed(special: Any) -> None:
    """Else a token that forbids what this version does not know would allow it."""
    _refuses(_forged(portico=special))


@settings(deadline=None)
@given(st.uuids(version=4), st.uuids(version=4), st.uuids(version=4))
def test_related_ids_share_their_grant_id_and_nothing_else(first: UUID, second: UUID, third: UUID) -> None:
    one, two = (tokens.related(str(first), str(each)) for each in (second, third))
    assert UUID(one).version == UUID(two).version == 4
    assert str(UUID(one)) == one
    grants = {Claims(ROOM, ACCOUNT, jti, NOW).grant_id for jti in (str(first), one, two)}
    assert len(grants) == 1
    assert one[tokens.GRANT_ID_LENGTH :] == str(second)[tokens.GRANT_ID_LENGTH :]


_LETTERS = string.ascii_letters + string.digits + "-_."
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_MEMBERS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("alg", "typ", "crit", "kid", "jwk", "b64", "x5c", "jku", "cty"), _JSON)
)
_ALGORITHM = st.sampled_from([{}, {"alg": "Ed25519"}, {"alg": "none"}, {"alg": "HS256"}])
_HEADERS = st.one_of(_JSON, st.tuples(_MEMBERS, _ALGORITHM).map(lambda both: {**both[0], **both[1]}))

_INSTANTS = st.integers(946_684_800_000_000, 4_102_444_800_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@settings(max_examples=3 * settings().max_examples // 2, deadline=None, derandomize=True, database=None)
@given(st.one_of(st.text(), st.text(_LETTERS), st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")))
@example("\ud800")
def test_any_text_is_refused_and_nothing_worse(text: str) -> None:
    _refuses(text)


@settings(max_examples=3 * settings().max_examples // 2, deadline=None, derandomize=True, database=None)
@given(_HEADERS)
def test_any_header_is_refused_and_nothing_worse(header: Any) -> None:
    _, payload, signature = _token().split(".")
    _refuses(f"{_encoded(json.dumps(header).encode())}.{payload}.{signature}")


@settings(max_examples=2 * settings().max_examples, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_any_edit_of_a_good_token_is_refused_and_nothing_worse(data: st.DataObject) -> None:
    token = _token()
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 8)))
    edited = token[:start] + data.draw(st.text(_LETTERS + "=+/ \n\0é", max_size=8)) + token[end:]
    if edited != token:
        _refuses(edited)


@settings(deadline=None, derandomize=True, database=None)
@given(
    now=_INSTANTS,
    ttl=st.integers(10, 86400),
    kind=st.sampled_from(["access", "refresh"]),
)
def test_what_we_issue_we_accept_until_it_expires(now: datetime, ttl: int, kind: TokenKind) -> None:
    token, expires_at = _issue(kind, now=now, ttl_secs=ttl)
    assert timedelta(0) <= now + timedelta(seconds=ttl) - expires_at < timedelta(seconds=1)
    assert expires_at.microsecond == 0
    for instant in (now, expires_at - timedelta(microseconds=1)):
        assert tokens.verify(token, kind, [_key()], room_id=ROOM, now=instant).expires_at == expires_at


def _refuses(token: str, *, kind: TokenKind = "access", now: datetime = NOW) -> None:
    """Exactly TokenRefused: any other exception fails the test, and would be a 500 for any client's text."""
    with pytest.raises(TokenRefused) as refusal:
        tokens.verify(token, kind, [_key()], room_id=ROOM, now=now)
    assert str(refusal.value).endswith("."), "a sentence"
    assert not refusal.value.expired


@cache
def _private(seed: int = 1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def _key(seed: int = 1) -> Ed25519PublicKey:
    return _private(seed).public_key()


def _issue(
    kind: TokenKind,
    *,
    room_id: str = ROOM,
    now: datetime = NOW,
    ttl_secs: int = 600,
    permissions: Permissions = ALL_PERMISSIONS,
) -> tuple[str, datetime]:
    return tokens.issue(
        kind,
        _private(),
        account_id=ACCOUNT,
        room_id=room_id,
        jti=JTI,
        now=now,
        ttl_secs=ttl_secs,
        permissions=permissions,
    )


@cache
def _token() -> str:
    return _issue("access")[0]


def _claims(**changed: Any) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(_decoded(_token().split(".")[1]))
    return claims | changed


def _forged(*, header: dict[str, Any] | None = None, seed: int = 1, **changed: Any) -> str:
    """A token made without the code under test, by default with our own key."""
    signed = _signed_text(header or HEADER, _claims(**changed))
    return f"{signed}.{_encoded(_private(seed).sign(signed.encode()))}"


def _signed_text(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
