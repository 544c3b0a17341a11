"""Samples of events: every type that exists, complete, and never the same twice."""

from dataclasses import asdict
from itertools import count
from typing import get_args

import pytest

from portico.core.events import Event
from portico.core.samples import EVENT_TYPES, sample


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_member_has_a_value(event_type: str) -> None:
    numbers = count()
    made = sample(event_type, lambda: f"id-{next(numbers)}")
    assert made.event_type == event_type
    members = asdict(made)
    assert None not in members.values()
    assert len({members["session_id"], members["room_id"]}) == 2


def test_no_type_is_missing() -> None:
    assert set(EVENT_TYPES) == {kind.event_type for kind in get_args(Event)}
