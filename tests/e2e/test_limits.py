"""One stream, or one subscription, too many: the application's promise is rejected in words, and the call goes on."""

import pytest
from playwright.async_api import Error as PlaywrightError

from portico.signaling.limits import PUBLISHERS_MAX, SUBSCRIPTIONS_PER_SEAT
from tests.e2e.conftest import Call

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_too_much_is_rejected_in_words_and_the_call_goes_on(call: Call) -> None:
    await call.create_room(max_participants=2)
    anna, ben = await call.gather(2)
    for number in range(PUBLISHERS_MAX):
        await anna.publish(f"s{number}")
    with pytest.raises(PlaywrightError, match="at most 8 streams"):
        await anna.publish("one too many")

    limit = SUBSCRIPTIONS_PER_SEAT * 2
    for number in range(limit):
        await ben.subscribe(anna, f"s{number}")
    with pytest.raises(PlaywrightError, match=f"at most {limit} subscriptions"):
        await ben.subscribe(anna, f"s{limit}")

    await ben.unsubscribe(anna, "s0")
    await anna.remove_stream("s0")
    await anna.publish("again")
    for person in (anna, ben):
        assert not person.happened("disconnected")
    present = [one for one in (await call.participants()).values() if one.left_at is None]
    assert {one.id for one in present} == {anna.id, ben.id}
