"""When the delivery of an event is tried again after it failed (contract section 6.4, and beyond it for a day)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

FIRST_ROUNDS = (timedelta(0), timedelta(seconds=5), timedelta(seconds=25))
"""The pauses before the contract's three rounds, which do not depend on settings."""
LATER_ROUNDS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 20, 30, 60))
"""The pauses before the rounds beyond the contract's; the last one repeats."""
JITTER = 0.2
"""The fraction by which a pause is shorter or longer at most. It spreads out deliveries that failed together."""
RETRY_AFTER_MAX = timedelta(hours=1)
"""A longer Retry-After of a receiver counts as this."""


def next_due(
    *,
    rounds_done: int,
    first_at: datetime,
    now: datetime,
    jitter: float,
    retry_for: timedelta,
    retry_after: timedelta | None = None,
) -> datetime | None:
    """When the next round is due after `rounds_done` (1 or more) have failed, or None to give up.

    `jitter` is a random number from -1 to 1. The rounds go on until `retry_for` after `first_at`; the last one falls
    on that instant, or is the contract's third if that comes later. A receiver's `retry_after` lengthens a pause and
    never shortens it; it counts for RETRY_AFTER_MAX at most and not beyond the end, because an early try is better than
    none. With a `retry_for` of zero there are the three rounds of the hosted service, which ignores Retry-After.
    """
    assert rounds_done >= 1 and -1 <= jitter <= 1
    usual = now + _pause(rounds_done) * (1 + JITTER * jitter)
    requested = now + min(retry_after or timedelta(0), RETRY_AFTER_MAX)
    end = first_at + retry_for
    if rounds_done < len(FIRST_ROUNDS):
        return max(usual, min(requested, end))
    if now >= end:
        return None
    return min(max(usual, requested), end)


def parse_retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The time in a Retry-After header (RFC 9110 section 10.2.3), from zero to RETRY_AFTER_MAX.

    It holds seconds or a date; anything else, or no header, is None.
    """
    text = (value or "").strip(" \t")
    if text.isascii() and text.isdigit():
        # Twelve digits are enough; Python refuses to convert thousands of them.
        return min(timedelta(seconds=int(text.lstrip("0")[:12] or "0")), RETRY_AFTER_MAX)
    date = _http_date(text)
    if date is None:
        return None
    return min(max(date - now, timedelta(0)), RETRY_AFTER_MAX)


def _pause(rounds_done: int) -> timedelta:
    pauses = FIRST_ROUNDS + LATER_ROUNDS
    return pauses[min(rounds_done, len(pauses) - 1)]


def _http_date(text: str) -> datetime | None:
    """The instant of a date in any form of RFC 9110 section 5.6.7, or of RFC 5322 with another time zone."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date  # the form of asctime() names no zone
