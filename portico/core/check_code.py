"""Decodes the code that the page /check shows for support: 16 characters with the result, no name and no address.

frontend/src/check/code.ts encodes it. The 80 bits are the fields of `_FIELDS`, then 9 bits with the remainder of
their number by a prime: no wrong character, and no exchange of two neighbours, keeps the remainder.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110", "- \t\n")
"""Replaces letters that Crockford's base 32 leaves out because they look like digits, and removes separators."""
_LENGTH, _CHECKSUM_BITS, _PRIME = 16, 9, 509
_VERSION = 1
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

_DEVICE = (
    *("not tested", "works", "not allowed", "not found", "in use by another program"),
    *("silent or black", "only on https pages", "cannot be opened"),
)
_SOCKET = ("not tested", "works", "blocked", "refused by the server")
_DIRECT = ("not tested", "works", "blocked")
_RELAY = ("not tested", "works", "blocked", "answers, media not tested", "the server has none")
_PATH = ("not measured", "direct over UDP", "relay over UDP", "relay over TCP", "relay over TLS")
_MILLIS = ("unknown", "under 50 ms", "50 to 100 ms", "100 to 200 ms", "200 to 400 ms", "400 to 800 ms", "over 800 ms")
_JITTER = ("unknown", "under 10 ms", "10 to 30 ms", "30 to 60 ms", "60 to 100 ms", "100 to 200 ms", "over 200 ms")
_LOSS = ("unknown", "under 0.5 %", "0.5 to 2 %", "2 to 5 %", "5 to 10 %", "10 to 25 %", "over 25 %")
_RATE = (
    *("unknown", "under 64 kb/s", "64 to 150 kb/s", "150 to 300 kb/s", "300 to 500 kb/s"),
    *("500 to 800 kb/s", "over 800 kb/s"),
)
_BROWSER = ("other", "Chrome", "Edge", "Firefox", "Safari", "Opera", "Samsung Internet")
_SYSTEM = ("other", "Windows", "macOS", "Linux", "Android", "iOS")

_FIELDS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("microphone", 3, _DEVICE),
    ("camera", 3, _DEVICE),
    ("signaling", 2, _SOCKET),
    ("direct over UDP", 2, _DIRECT),
    ("relay over UDP", 3, _RELAY),
    ("relay over TCP", 3, _RELAY),
    ("relay over TLS", 3, _RELAY),
    ("measured path", 3, _PATH),
    ("round trip", 3, _MILLIS),
    ("jitter", 3, _JITTER),
    ("loss to the server", 3, _LOSS),
    ("loss back", 3, _LOSS),
    ("rate to the server", 3, _RATE),
    ("rate back", 3, _RATE),
    ("browser", 4, _BROWSER),
    ("system", 3, _SYSTEM),
)
"""Name, bits and meanings of each field, from the highest bits down; the version is before and the time after them."""
_VERSION_BITS, _TIME_BITS = 2, 22


class NoCheckCode(ValueError):
    """The text is no code of a check; the message says why."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one connection check, as its code holds it."""

    at: datetime
    """When the check ended, by the clock of the device; exact to the minute."""
    facts: dict[str, str]
    """The meaning of each field by its name, in the order of the page."""


def decode(text: str) -> CheckResult:
    """The result in a code, however it is grouped and in either case. Raises NoCheckCode."""
    letters = text.upper().translate(_MISREAD)
    if len(letters) != _LENGTH or any(letter not in _LETTERS for letter in letters):
        raise NoCheckCode(f"A code has {_LENGTH} letters and digits, like 95CJ-2A4X-GP78-3FKK.")
    number = 0
    for letter in letters:
        number = number * len(_LETTERS) + _LETTERS.index(letter)
    value, checksum = number >> _CHECKSUM_BITS, number % (1 << _CHECKSUM_BITS)
    if value % _PRIME != checksum:
        raise NoCheckCode("A character of the code is wrong, or two are exchanged.")
    bits = _Bits(value, _VERSION_BITS + sum(width for _, width, _ in _FIELDS) + _TIME_BITS)
    if (version := bits.take(_VERSION_BITS)) != _VERSION:
        raise NoCheckCode(f"The code has the form {version}, which this version of Portico does not know.")
    facts = {name: _meaning(bits.take(width), meanings) for name, width, meanings in _FIELDS}
    return CheckResult(_EPOCH + timedelta(minutes=bits.take(_TIME_BITS)), facts)


def _meaning(number: int, meanings: tuple[str, ...]) -> str:
    return meanings[number] if number < len(meanings) else f"unknown ({number})"


class _Bits:
    """Reads a number of `left` bits from its highest bit down."""

    def __init__(self, value: int, left: int) -> None:
        self._value = value
        self._left = left

    def take(self, width: int) -> int:
        self._left -= width
        return self._value >> self._left & ((1 << width) - 1)
