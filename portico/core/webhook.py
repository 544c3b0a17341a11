"""The body of a webhook, and how it is signed and verified (contract sections 6.1 and 6.3)."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

TIMESTAMP = "telnyx-timestamp"
SIGNATURE = "telnyx-signature-ed25519"
DEFAULT_TIMEOUT_SECS = 2
"""How long an attempt may take for a room whose webhook_timeout_secs is null or 0 (contract section 6.4)."""
TOLERANCE = timedelta(seconds=300)
"""How far the timestamp may be from the receiver's clock; therefore every attempt is signed anew."""


class SignatureRefused(Exception):
    """A received webhook is not valid; str() says why."""


def event_json(*, event_id: str, event_type: str, occurred_at: datetime, payload: Mapping[str, object]) -> str:
    """The text of the `data` member: made once and kept, so that every attempt sends the same bytes.

    All in ASCII: an application's context may hold what UTF-8 cannot (half of a surrogate pair) or what a database
    does not store (NUL), and as escapes both pass. A number that JSON has no word for raises ValueError.
    """
    return _json(
        {
            "record_type": "event",
            "event_type": event_type,
            "id": event_id,
            "occurred_at": occurred_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "payload": dict(payload),
        }
    )


def body(data: str, *, attempt: int, delivered_to: str) -> bytes:
    """The exact bytes to sign and send: `data` as stored, the number of the attempt (from 1) and its URL."""
    meta = _json({"attempt": attempt, "delivered_to": delivered_to})
    return f'{{"data":{data},"meta":{meta}}}'.encode()


def headers(key: Ed25519PrivateKey, body: bytes, *, now: datetime) -> dict[str, str]:
    """The headers of one attempt that starts `now`."""
    timestamp = str(int(now.timestamp()))
    signature = key.sign(_signed(timestamp, body))
    return {
        "content-type": "application/json",
        TIMESTAMP: timestamp,
        SIGNATURE: base64.b64encode(signature).decode(),
        "user-agent": "telnyx-webhooks",
    }


def public_key(key: Ed25519PrivateKey) -> str:
    """The public key for receivers, as the official SDKs take it: 32 bytes in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def verify(public: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Verify a received webhook. Raises SignatureRefused unless `public` signed it at most TOLERANCE from `now`."""
    named = {name.lower(): value for name, value in headers.items()}
    if TIMESTAMP not in named or SIGNATURE not in named:
        raise SignatureRefused(f"The headers {TIMESTAMP} and {SIGNATURE} must both be there.")
    timestamp = named[TIMESTAMP]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureRefused(f"The header {TIMESTAMP} must be in seconds since 1970.")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(named[SIGNATURE], validate=True), _signed(timestamp, body))
    except (InvalidSignature, binascii.Error, ValueError):
        raise SignatureRefused("The signature is not that of this key over these bytes.") from None
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        raise SignatureRefused(f"The signature is more than {TOLERANCE.total_seconds():g} s away from this clock.")


def _signed(timestamp: str, body: bytes) -> bytes:
    return f"{timestamp}|".encode() + body


def _json(members: dict[str, object]) -> str:
    return json.dumps(members, separators=(",", ":"), allow_nan=False)
