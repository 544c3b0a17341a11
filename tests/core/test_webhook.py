"""Webhooks: the text, the signature, and the official SDK's opinion of both."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from portico.core import webhook
from portico.core.webhook import SignatureRefused

NOW = datetime(2026, 2, 2, 22, 25, 27, 521992, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = webhook.public_key(KEY)
URL = "https://example.com/hook"

texts = st.text(st.characters(categories=["L", "N", "P", "S", "Z", "C"]))  # surrogates and NUL, too
payloads = st.dictionaries(texts, texts | st.integers() | st.none() | st.booleans())


def an_event(payload: dict[str, object] | None = None) -> str:
    return webhook.event_json(
        event_id="6b61621f-62e0-4aad-ab11-9fd19e272e73",
        event_type="video.room.session.started",
        occurred_at=NOW,
        payload=payload if payload is not None else {"session_id": "s", "room_id": "r"},
    )


def test_the_event_to_the_byte() -> None:
    assert an_event() == (
        '{"record_type":"event","event_type":"video.room.session.started","id":"6b61621f-62e0-4aad-ab11-9fd19e272e73",'
        '"occurred_at":"2026-02-02T22:25:27.521992Z","payload":{"session_id":"s","room_id":"r"}}'
    )


def test_the_body_to_the_byte() -> None:
    body = webhook.body('{"a": 1 }', attempt=3, delivered_to=URL)
    assert body == b'{"data":{"a": 1 },"meta":{"attempt":3,"delivered_to":"https://example.com/hook"}}'


def test_the_headers() -> None:
    headers = webhook.headers(KEY, b"body", now=NOW)
    assert headers == {
        "content-type": "application/json",
        "telnyx-timestamp": "1770071127",
        "telnyx-signature-ed25519": base64.b64encode(KEY.sign(b"1770071127|body")).decode(),
        "user-agent": "telnyx-webhooks",
    }


def test_the_public_key_is_padded_standard_base64_of_32_bytes() -> None:
    assert base64.b64decode(PUBLIC, validate=True) == KEY.public_key().public_bytes_raw()
    assert len(PUBLIC) == 44


@pytest.mark.parametrize(
    ("occurred_at", "written"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000000Z"),
        (datetime(2026, 1, 2, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T23:30:00.000000Z"),
    ],
)
def test_instants_are_in_utc_with_six_digits(occurred_at: datetime, written: str) -> None:
    text = webhook.event_json(event_id="e", event_type="t", occurred_at=occurred_at, payload={})
    assert json.loads(text)["occurred_at"] == written


@given(payload=payloads, attempt=st.integers(1, 99), url=texts)
def test_any_payload_and_url_come_back(payload: dict[str, object], attempt: int, url: str) -> None:
    read = json.loads(webhook.body(an_event(payload), attempt=attempt, delivered_to=url))
    assert read["data"]["payload"] == payload
    assert read["meta"] == {"attempt": attempt, "delivered_to": url}


@given(payload=payloads, attempt=st.integers(1, 99))
def test_the_event_is_ascii_and_the_same_bytes_in_every_attempt(payload: dict[str, object], attempt: int) -> None:
    data = an_event(payload)
    assert data.isascii() and "\0" not in data
    assert webhook.body(data, attempt=attempt, delivered_to=URL).startswith(f'{{"data":{data},"meta":'.encode())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_has_no_word_for_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        an_event({"size_mb": number})


@given(body=st.binary(), skew=st.integers(-300, 299))
def test_what_is_signed_verifies(body: bytes, skew: int) -> None:
    headers = webhook.headers(KEY, body, now=NOW)
    webhook.verify(PUBLIC, headers, body, now=NOW.replace(microsecond=0) + timedelta(seconds=skew))


@given(body=st.binary(min_size=1), data=st.data())
def test_no_flipped_bit_verifies(body: bytes, data: st.DataObject) -> None:
    headers = webhook.headers(KEY, body, now=NOW)
    flipped = bytearray(body)
    flipped[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SignatureRefused):
        webhook.verify(PUBLIC, headers, bytes(flipped), now=NOW)


SIGNED = webhook.headers(KEY, b"body", now=NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"telnyx-timestamp": None}, "must both be there"),
        ({"telnyx-signature-ed25519": None}, "must both be there"),
        ({"telnyx-timestamp": "1770071128"}, "not that of this key"),
        ({"telnyx-timestamp": "soon"}, "seconds since 1970"),
        ({"telnyx-timestamp": ""}, "seconds since 1970"),
        ({"telnyx-timestamp": "-1"}, "seconds since 1970"),
        ({"telnyx-timestamp": "١"}, "seconds since 1970"),
        ({"telnyx-timestamp": "9" * 5000}, "seconds since 1970"),
        ({"telnyx-signature-ed25519": "!"}, "not that of this key"),
        ({"telnyx-signature-ed25519": "AAAA"}, "not that of this key"),
        ({"telnyx-signature-ed25519": base64.b64encode(bytes(64)).decode()}, "not that of this key"),
    ],
)
def test_changed_headers_are_refused(change: dict[str, str | None], reason: str) -> None:
    headers = {name: value for name, value in {**SIGNED, **change}.items() if value is not None}
    with pytest.raises(SignatureRefused, match=reason):
        webhook.verify(PUBLIC, headers, b"body", now=NOW)


@pytest.mark.parametrize("skew", [-301, 302])
def test_too_old_and_too_new_are_refused(skew: int) -> None:
    with pytest.raises(SignatureRefused, match="300 s"):
        webhook.verify(PUBLIC, SIGNED, b"body", now=NOW + timedelta(seconds=skew))


@pytest.mark.parametrize(
    "public", ["", "AAAA", "no base64", webhook.public_key(Ed25519PrivateKey.from_private_bytes(bytes(32)))]
)
def test_another_key_is_refused(public: str) -> None:
    with pytest.raises(SignatureRefused, match="not that of this key"):
        webhook.verify(public, SIGNED, b"body", now=NOW)


def test_header_names_are_read_in_any_case() -> None:
    webhook.verify(PUBLIC, {name.title(): value for name, value in SIGNED.items()}, b"body", now=NOW)


def unwrapped(body: bytes, headers: dict[str, str]) -> Any:
    from telnyx import Telnyx  # takes a second, which other tests do without

    client = Telnyx(api_key="none", base_url="http://127.0.0.1:9/v2", public_key=PUBLIC)
    return client.webhooks.unwrap(body.decode(), headers=headers)


def test_the_official_sdk_takes_it() -> None:
    body = webhook.body(an_event({"context": "Zoë \udc00 \0 😀"}), attempt=1, delivered_to=URL)
    event = unwrapped(body, webhook.headers(KEY, body, now=datetime.now(UTC)))
    assert event.data.event_type == "video.room.session.started"


def test_the_official_sdk_refuses_a_changed_byte_and_an_old_signature() -> None:
    body = webhook.body(an_event(), attempt=1, delivered_to=URL)
    headers = webhook.headers(KEY, body, now=datetime.now(UTC))
    with pytest.raises(ValueError, match="does not match"):
        unwrapped(body.replace(b"started", b"stopped"), headers)
    with pytest.raises(ValueError, match="too old"):
        unwrapped(body, webhook.headers(KEY, body, now=datetime.now(UTC) - timedelta(seconds=310)))
