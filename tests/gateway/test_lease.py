"""Who is dead, as a process observes it: only the observer's own monotonic clock counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from portico.gateway.lease import GAP_SECS, LEASE_SECS, ObservedLeases
from tests.factories import NOW

OTHER = "other"


def watched(seen: Sequence[datetime | None], *, every: float = 1.0, begin: float = 0.0) -> list[bool]:
    """Whether the other gateway is dead at each look; None for a look that the database did not answer."""
    observed = ObservedLeases()
    found = []
    for n, seen_at in enumerate(seen):
        if seen_at is not None:
            found.append(OTHER in observed.dead([(OTHER, seen_at)], begin + n * every))
    return found


def test_one_that_changes_lives_whatever_its_clock_says() -> None:
    steps = [NOW + timedelta(hours=(-1) ** n * n) for n in range(60)]
    assert not any(watched(steps))


def test_one_that_does_not_change_is_dead_after_the_lease_and_not_before() -> None:
    found = watched([NOW] * 20)
    assert found.index(True) == LEASE_SECS


def test_after_an_outage_every_gateway_gets_a_full_lease_again() -> None:
    gap = int(GAP_SECS) + 1
    found = watched([NOW] * 10 + [None] * gap + [NOW] * 20)
    assert found.index(True) == 10 + LEASE_SECS


def test_a_short_silence_of_the_database_prolongs_nothing() -> None:
    found = watched([NOW] * 10 + [None] * 2 + [NOW] * 20)
    assert found.index(True) == LEASE_SECS - 2  # looks that were answered


def test_one_that_is_gone_and_comes_back_begins_anew() -> None:
    observed = ObservedLeases()
    for n in range(10):
        assert not observed.dead([(OTHER, NOW)], n)
    assert not observed.dead([], 10)
    for n in range(11, 25):
        assert not observed.dead([(OTHER, NOW)], n)
