"""The bucket of one peer's work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.budget import Budget


def test_a_burst_is_free_and_what_is_beyond_waits() -> None:
    budget = Budget(per_sec=10, burst=5, now=0)
    assert [budget.spend(1, 0) for _ in range(5)] == [0] * 5
    assert budget.spend(1, 0) == pytest.approx(0.1)
    assert budget.spend(1, 0) == pytest.approx(0.2)
    assert budget.spend(1, 1) == 0


def test_a_pause_earns_no_more_than_the_burst() -> None:
    budget = Budget(per_sec=10, burst=5, now=0)
    assert budget.spend(6, 1000) == pytest.approx(0.1)


def test_a_wider_budget_counts_from_now_on() -> None:
    budget = Budget(per_sec=1, burst=5, now=0)
    budget.spend(5, 0)
    budget.widen(per_sec=100, burst=15)
    assert budget.spend(10, 0) == 0
    assert budget.spend(1, 0) == pytest.approx(0.01)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 3)), max_size=50))
def test_no_more_is_spent_than_burst_and_rate_allow(steps: list[tuple[int, float]]) -> None:
    """By a peer that waits as long as spend() returns."""
    budget, now, spent = Budget(per_sec=10, burst=20, now=0), 0.0, 0
    for units, pause in steps:
        now += pause
        assert spent <= 20 + 10 * now + 1e-6
        now += budget.spend(units, now)
        spent += units
    assert spent <= 20 + 10 * now + 1e-6
