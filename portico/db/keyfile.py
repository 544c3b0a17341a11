"""Webhook keys outside of the database: the setting, and the file in which versions up to 0.2.0 kept them."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_NAME = "webhook-keys.json"
"""In DATA_DIR. Its keys become rows at the first start of a version that keeps keys there."""


class KeyFileError(Exception):
    """The file or setting cannot be used; str() says what to do."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, and the instant from which it signs."""

    private: Ed25519PrivateKey
    active_from: datetime


def read_file(path: Path) -> list[SigningKey]:
    """The keys of the file, by the time from which they sign; none where there is no file. Raises KeyFileError."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))["keys"]
        keys = [SigningKey(parse_key(row["private"]), datetime.fromisoformat(row["active_from"])) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, KeyFileError) as error:
        raise KeyFileError(f"{path} cannot be read ({error}): restore it, or remove it for a new key.") from None
    if any(key.active_from.tzinfo is None for key in keys):
        raise KeyFileError(f"{path} has a time without its zone: write it as 2026-01-01T00:00:00+00:00.")
    if not keys:
        raise KeyFileError(f"{path} holds no key: remove it for a new one.")
    return sorted(keys, key=lambda key: key.active_from)


def parse_key(text: str) -> Ed25519PrivateKey:
    """A private key from the base64 of its 32 bytes; raises KeyFileError."""
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise KeyFileError("a private key is the base64 of 32 bytes") from None
