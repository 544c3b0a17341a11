"""The keys that sign webhooks: a file of our own in the data directory, made at first start, readable by us alone."""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.runtime import durable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEPT_FOR = timedelta(days=30)
"""How long a key stays in the file after its successor took over."""


class KeyFileError(Exception):
    """The file or setting cannot be used; str() says what to do."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, and the instant from which it signs."""

    private: Ed25519PrivateKey
    active_from: datetime


class WebhookKeys:
    """Which key signs now, and which one will. Rotation from another process is seen at the next look."""

    def __init__(self, path: Path, setting: str | None = None) -> None:
        self._path = path
        self._setting = None if setting is None else [SigningKey(parse_key(setting), _EPOCH)]
        self._seen = (0, 0)
        self._keys: list[SigningKey] = []

    def current(self, now: datetime) -> Ed25519PrivateKey:
        """The key that signs at this instant."""
        return max(_active(self._load(), now), key=_start).private

    def next(self, now: datetime) -> SigningKey | None:
        """The key that will sign later, once one was announced."""
        return min((key for key in self._load() if key.active_from > now), key=_start, default=None)

    def rotate(self, now: datetime, overlap: timedelta) -> SigningKey:
        """Announce a new key, which signs from `now + overlap` on; receivers accept both until then."""
        if self._setting is not None:
            raise KeyFileError("The key is given by PORTICO_WEBHOOK_PRIVATE_KEY: change it there.")
        new = SigningKey(Ed25519PrivateKey.from_private_bytes(token_bytes(32)), now + overlap)
        pending = _active(self._load(), now)  # an announced key that is not in use yet goes
        last = max(pending, key=_start)
        kept = [key for key in pending if key is last or key.active_from > now - KEPT_FOR]
        self._write([*kept, new], exclusive=False)
        return new

    def _load(self) -> list[SigningKey]:
        if self._setting is not None:
            return self._setting
        try:
            version = self._version()
        except FileNotFoundError:
            self._create()
            version = self._version()
        if version != self._seen:
            self._keys, self._seen = self._read(), version
        return self._keys

    def _version(self) -> tuple[int, int]:
        """Each writing makes a new file: its number differs where the clock of the file system is too coarse."""
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns

    def _create(self) -> None:
        key = SigningKey(Ed25519PrivateKey.from_private_bytes(token_bytes(32)), _EPOCH)
        try:
            self._write([key], exclusive=True)
        except FileExistsError:
            return  # another process of ours was faster, and its key is as good

    def _read(self) -> list[SigningKey]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8-sig"))["keys"]
            keys = [SigningKey(parse_key(row["private"]), datetime.fromisoformat(row["active_from"])) for row in rows]
        except (OSError, ValueError, KeyError, TypeError, KeyFileError) as error:
            raise KeyFileError(
                f"{self._path} cannot be read ({error}): restore it, or remove it for a new key."
            ) from None
        if any(key.active_from.tzinfo is None for key in keys):
            raise KeyFileError(f"{self._path} has a time without its zone: write it as 2026-01-01T00:00:00+00:00.")
        if not keys:
            raise KeyFileError(f"{self._path} holds no key: remove it for a new one.")
        return keys

    def _write(self, keys: list[SigningKey], *, exclusive: bool) -> None:
        """Replace the file; with `exclusive` raise FileExistsError where it is there. Raises KeyFileError."""
        rows = [
            {
                "private": base64.b64encode(key.private.private_bytes_raw()).decode(),
                "active_from": key.active_from.isoformat(),
            }
            for key in keys
        ]
        put = durable.create if exclusive else durable.write
        try:
            put(self._path, json.dumps({"keys": rows}, indent=1).encode(), mode=0o600)
        except FileExistsError:
            raise
        except OSError as error:
            raise KeyFileError(f"{self._path} cannot be written: {error.strerror}.") from None


def parse_key(text: str) -> Ed25519PrivateKey:
    """A private key from the base64 of its 32 bytes; raises KeyFileError."""
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise KeyFileError("a private key is the base64 of 32 bytes") from None


def _active(keys: list[SigningKey], now: datetime) -> list[SigningKey]:
    """Those that may sign; with a clock that was set back even the first may seem to lie ahead."""
    return [key for key in keys if key.active_from <= now] or [min(keys, key=_start)]


def _start(key: SigningKey) -> datetime:
    return key.active_from
