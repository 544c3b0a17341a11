"""What a browser hears of streams that end while it subscribes to them, and when."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.signaling.subscriptions import HELD_MAX, Subscriptions

ROOM, OTHER_ROOM = 11, 12  # handles on which a browser hears of a room
FIRST, SECOND = 21, 22  # handles on which it subscribes
ANNA, BEN = 31, 32  # feeds


def said(sender: int = ROOM, **content: Any) -> dict[str, Any]:
    return {"janus": "event", "sender": sender, "plugindata": {"data": {"videoroom": "event", **content}}}


def told(subscriptions: Subscriptions, message: dict[str, Any]) -> list[dict[str, Any]]:
    return subscriptions.told(message, message["plugindata"]["data"])


@pytest.mark.parametrize("how", ["unpublished", "kicked"])
def test_an_end_waits_for_a_subscription_that_was_offered(how: str) -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    assert subscriptions.offered(FIRST)
    end, after = said(**{how: ANNA}), said(publishers=[])
    assert told(subscriptions, end) == told(subscriptions, after) == []
    assert subscriptions.settled(FIRST) == [end, after]
    assert told(subscriptions, after) == [after]


def test_an_end_that_was_heard_first_leaves_nothing_to_subscribe_to() -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    end = said(unpublished=ANNA)
    assert told(subscriptions, end) == [end]
    assert not subscriptions.offered(FIRST)


def test_other_streams_ends_do_not_wait() -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    assert subscriptions.offered(FIRST)
    end = said(unpublished=BEN)
    assert told(subscriptions, end) == [end]
    assert subscriptions.offered(FIRST)


def test_what_comes_from_elsewhere_does_not_wait() -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    subscriptions.offered(FIRST)
    told(subscriptions, said(unpublished=ANNA))
    elsewhere = said(OTHER_ROOM, configured="ok")
    assert told(subscriptions, elsewhere) == [elsewhere]


def test_each_end_waits_for_its_own_subscription() -> None:
    subscriptions = Subscriptions()
    for handle, feed in ((FIRST, ANNA), (SECOND, BEN)):
        subscriptions.asked(handle, feed)
        subscriptions.offered(handle)
    annas, between, bens = said(unpublished=ANNA), said(publishers=[]), said(unpublished=BEN)
    for message in (annas, between, bens):
        assert told(subscriptions, message) == []
    assert subscriptions.settled(FIRST) == [annas, between]
    assert subscriptions.settled(SECOND) == [bens]


def test_a_browser_that_never_starts_hears_it_all_the_same() -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    subscriptions.offered(FIRST)
    end = said(unpublished=ANNA)
    told(subscriptions, end)
    assert subscriptions.release() == [end]
    assert subscriptions.release() == []


def test_what_waits_is_bounded() -> None:
    subscriptions = Subscriptions()
    subscriptions.asked(FIRST, ANNA)
    subscriptions.offered(FIRST)
    messages = [said(unpublished=ANNA), *(said(publishers=[number]) for number in range(HELD_MAX))]
    heard = [each for message in messages for each in told(subscriptions, message)]
    assert heard == messages


STEPS = st.one_of(
    st.tuples(st.just("asked"), st.sampled_from([FIRST, SECOND]), st.sampled_from([ANNA, BEN])),
    st.tuples(st.just("offered"), st.sampled_from([FIRST, SECOND])),
    st.tuples(st.just("settled"), st.sampled_from([FIRST, SECOND])),
    st.tuples(st.just("ends"), st.sampled_from([ANNA, BEN])),
    st.tuples(st.just("release")),
)


@given(st.lists(STEPS, max_size=40))
def test_nothing_is_lost_and_nothing_changes_places(steps: list[tuple[Any, ...]]) -> None:
    subscriptions = Subscriptions()
    sent, heard = [], []
    for number, (step, *arguments) in enumerate(steps):
        if step == "ends":
            sent.append(said(unpublished=arguments[0], number=number))
            heard += told(subscriptions, sent[-1])
        elif step in ("settled", "release"):
            heard += getattr(subscriptions, step)(*arguments)
        else:
            getattr(subscriptions, step)(*arguments)
    assert heard + subscriptions.release() == sent
