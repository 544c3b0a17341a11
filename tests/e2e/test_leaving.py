"""People leave in every way there is, and the others and the API know at once."""

import time
from contextlib import aclosing
from pathlib import Path

import pytest
from playwright.async_api import Browser, Route

from tests.e2e.conftest import Call, calls
from tests.e2e.person import RED
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTICED_WITHIN_SECS = 2.0
SESSION_GRACE_SECS = 5.0


async def test_all_browsers_receive_a_leave(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await anna.leave()
    assert await anna.wait_for("disconnected", "user_initiated")
    await ben.wait_for("participant_leaving", anna.id)
    await ben.wait_for("stream_unpublished", anna.id, "self")
    await ben.wait_for("participant_left", anna.id, within=NOTICED_WITHIN_SECS)
    await call.eventually("Anna has left in the API", lambda: call.has_left(anna))
    assert not await call.has_left(ben)


@pytest.mark.parametrize("way", ["crash", "close"])
async def test_lost_tab_is_a_left_participant(call: Call, way: str) -> None:
    anna, ben = await call.gather(2)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await ben.expect_sight(anna, RED)
    await (anna.kill_tab() if way == "crash" else anna.close())
    lost_at = time.monotonic()
    left = await ben.wait_for("participant_left", anna.id, within=NOTICED_WITHIN_SECS)
    assert left.at - lost_at < NOTICED_WITHIN_SECS
    await call.eventually("Anna has left in the API", lambda: call.has_left(anna), within=NOTICED_WITHIN_SECS)
    await ben.expect_mix()


HOLD_UP = """(mark) => {
    const Native = WebSocket;
    globalThis.WebSocket = new Proxy(Native, { construct(Socket, args) {
        const socket = new Socket(...args);
        socket.addEventListener("message", function hold({ data }) {
            if (!data.includes(mark)) return;
            socket.removeEventListener("message", hold);
            const request = new XMLHttpRequest();
            request.open("GET", `/held-up?${encodeURIComponent(mark)}`, false);
            request.send();
        });
        return socket;
    }});
}"""


async def test_a_leave_during_a_join_leaves_no_participant_and_no_stream_in_the_new_page(call: Call) -> None:
    """The page stands still at each of the two rosters; what the server says meanwhile comes in one burst with it."""
    anna, ben = await call.gather(2, messages=False)
    await ben.publish(tone=440)
    await anna.wait_for("stream_published", ben.id, "self")
    cleo = await call.newcomer()
    went = []

    async def meanwhile(route: Route) -> None:
        if "audiobridge" in route.request.url:
            await anna.leave()
            await ben.wait_for("participant_left", anna.id)
        else:
            await ben.remove_stream()
            await call.eventually("the stream has gone", stream_has_gone)
        went.append(route.request.url)
        await route.fulfill(body="")

    async def stream_has_gone() -> bool:
        return bool(dora.happened("stream_unpublished", ben.id, "self"))

    dora = await call.join(messages=False)
    await cleo.page.route("**/held-up*", meanwhile)
    for mark in ('"audiobridge":"joined"', '"videoroom":"joined"'):
        await cleo.page.evaluate(HOLD_UP, mark)
    await cleo.join(call.room_id, await call.token(), messages=False)
    assert len(went) == 2

    async def sees_what_is_there() -> bool:
        roster = await cleo.roster()
        return set(roster) == {ben.id, cleo.id, dora.id} and not roster[ben.id]["streams"]

    await call.eventually("Cleo sees what is there", sees_what_is_there)
    await ben.leave()
    await cleo.wait_for("participant_left", ben.id)


async def test_session_ends_some_seconds_after_the_last_has_left(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    await anna.leave()
    empty = time.monotonic()  # at the earliest: it ends no sooner than the grace after this
    await ben.leave()

    async def over() -> bool:
        (session,) = await call.sessions()
        return session.active is False and session.ended_at is not None

    await call.eventually("the session has ended", over, within=SESSION_GRACE_SECS + 5)
    (session,) = await call.sessions()
    left = [one.left_at for one in (await call.participants()).values()]
    assert len(left) == 2 and all(left) and session.ended_at is not None
    # It ended when it became empty, although that is decided only after the grace.
    assert session.ended_at == max(at for at in left if at is not None)
    assert time.monotonic() - empty >= SESSION_GRACE_SECS
    again = await call.join(messages=False)
    assert len(await call.sessions()) == 2
    assert list(await again.roster()) == [again.id]


async def test_returning_within_the_grace_continues_the_session(
    tmp_path: Path, loopback: str | None, browser: Browser, site: str, portico: type[PorticoServer]
) -> None:
    # In this grace period even a busy browser is back.
    with portico(tmp_path / "data", media_interface=loopback, empty_session_grace_secs="60") as server:
        async with aclosing(calls(server, browser, site)) as opened:
            call = await anext(opened)
            await call.create_room()
            anna = await call.join(messages=False)
            newcomer = await call.newcomer()
            token = await call.token()
            await anna.leave()
            await call.eventually("Anna has left in the API", lambda: call.has_left(anna))
            await newcomer.join(call.room_id, token, messages=False)
            (session,) = await call.sessions()
            assert session.active
            assert set(await call.participants()) == {anna.id, newcomer.id}
