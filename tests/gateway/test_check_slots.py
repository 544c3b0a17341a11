"""How many connection checks run at once, and how many an address begins."""

import contextlib

import pytest

from portico.gateway.check_slots import AT_ONCE_MAX, BEGUN, CheckSlots, NoSlot


def test_checks_at_once_and_in_an_hour_are_few() -> None:
    now = [0]
    slots = CheckSlots(lambda: now[0])
    with contextlib.ExitStack() as stack:
        for number in range(AT_ONCE_MAX):
            stack.enter_context(slots.slot(f"192.0.2.{number}", 60))
        with pytest.raises(NoSlot) as busy, slots.slot("192.0.2.100", 60):
            pass
        assert (busy.value.reason, busy.value.retry_secs) == ("busy", 60)
        assert slots.running == AT_ONCE_MAX
    assert slots.running == 0
    for number in range(BEGUN.requests):
        with slots.slot(f"2001:db8:1:1::{number}", 60):  # one network
            pass
    with pytest.raises(NoSlot) as often, slots.slot("2001:db8:1:1:9::", 60):
        pass
    assert (often.value.reason, often.value.retry_secs) == ("often", 120)
    now[0] += 120 * 1_000_000_000
    with slots.slot("2001:db8:1:1:9::", 60):
        assert slots.running == 1
