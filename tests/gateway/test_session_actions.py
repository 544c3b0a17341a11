"""What the API does to people in a session, as their signaling sees it: end, kick, mute, unmute, revoked tokens."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from portico.signaling.effects import CloseCode
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.receiver import Receiver
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, VIDEOROOM, stream_display

WITHIN = 2.0


def session_id(rooms: Rooms, room: str) -> str:
    (session,) = [session for session in rooms.sessions(room) if session["active"]]
    return str(session["id"])


def act(rooms: Rooms, room: str, action: str, participants: Any = "all", **members: Any) -> None:
    perform = getattr(rooms.rest.rooms.sessions.actions, action)
    answer = perform(session_id(rooms, room), participants=participants, extra_body=members)
    assert answer.data.result == "ok"


@asynccontextmanager
async def kicking(rooms: Rooms, room: str, browser: SignalingBrowser, **members: Any) -> AsyncIterator[None]:
    """The block begins when the browser receives its kick, however late the API answers: it has only a moment left."""
    acting = asyncio.create_task(asyncio.to_thread(act, rooms, room, "kick", **members))
    await browser.receives("kicked")
    yield
    await acting


async def closed(browser: SignalingBrowser) -> int | None:
    await asyncio.wait_for(browser.closed.wait(), WITHIN)
    return browser.close_code


async def mixer(browser: SignalingBrowser) -> tuple[int, dict[str, Any]]:
    handle = await browser.attach(AUDIOBRIDGE)
    display = stream_display("audiobridge", browser.participant_id)
    return handle, await browser.request(
        handle, {"request": "join", "room": browser.room_id, "display": display, "muted": False}
    )


async def muted_in_the_mix(observer: SignalingBrowser, browser: SignalingBrowser) -> bool:
    """What the AudioBridge reports to a new member about the other's sound."""
    handle, joined = await mixer(observer)
    await observer.ask("detach", handle_id=handle)
    ours = stream_display("audiobridge", browser.participant_id)
    (one,) = [each for each in joined["participants"] if each["display"] == ours]
    return bool(one["muted"])


async def test_ending_closes_every_socket_and_nothing_more_can_be_done(rooms: Rooms) -> None:
    import telnyx  # takes a second, which other tests do without

    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        over = session_id(rooms, room)
        assert rooms.rest.rooms.sessions.actions.end(over).data.result == "ok"  # type: ignore[union-attr]
        assert [await closed(anna), await closed(ben)] == [4000, 4000]
        leaving = [event for browser in (anna, ben) for event in browser.events if "leaving" in str(event)]
        assert leaving == []
        actions = rooms.rest.rooms.sessions.actions
        for again in (actions.end, actions.kick, actions.mute, actions.unmute):
            with pytest.raises(telnyx.UnprocessableEntityError) as refused:
                again(over, extra_body={"participants": "all"})
            assert refused.value.body["errors"][0]["detail"] == "No private_ip for room"  # type: ignore[index]
        left = rooms.participants(room)
        assert all(each["left_at"] for each in left) and len(left) == 2
    async with rooms.browser(room) as again_anna:
        await again_anna.join()
        assert session_id(rooms, room) != over


async def test_a_kick_is_reported_and_an_uncooperative_browser_is_out_within_a_second(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        act(rooms, room, "kick", [anna.participant_id])
        kicked = (await anna.receives("kicked"))["plugindata"]["data"]["kicked"]
        assert (await ben.receives("kicked"))["plugindata"]["data"]["kicked"] == kicked
        assert await closed(anna) == CloseCode.REMOVED
        assert not ben.closed.is_set()
        people = {each["id"]: each["left_at"] for each in rooms.participants(room)}
        assert people[anna.participant_id] and not people[ben.participant_id]
    async with rooms.browser(room) as back:
        await back.join()


async def test_a_kick_through_another_process_is_as_fast(
    postgres_url: str, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    settings = {"api_key": "KEY-of-two-processes", "database_url": postgres_url}
    with portico(tmp_path / "a", **settings) as one, portico(tmp_path / "b", **settings) as other:
        rooms, elsewhere = Rooms(one), Rooms(other)
        room = rooms.create()
        took: dict[Rooms, list[float]] = {rooms: [], elsewhere: []}
        for asked in [*took] * 7:
            async with rooms.browser(room) as anna:
                await anna.join()
                await asyncio.sleep(random.random() / 4)  # so that it hits any moment between two looks at the rows
                act(asked, room, "kick", [anna.participant_id])
                answered = time.monotonic()
                assert await closed(anna) == CloseCode.REMOVED
                took[asked].append(time.monotonic() - answered)
        assert median(took[elsewhere]) < median(took[rooms]) + 0.3, took


async def test_who_is_kicked_can_do_nothing_in_the_time_that_is_left(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        handle = await anna.attach(VIDEOROOM)
        display = stream_display("self", anna.participant_id)
        body = {"request": "join", "room": room, "ptype": "publisher", "display": display}
        last = {"janus": "message", "transaction": "last", "client_token": anna.token, "handle_id": handle}
        async with kicking(rooms, room, anna, exclude=[ben.participant_id]):
            await anna.say({**last, "body": body})
            assert await closed(anna) == CloseCode.REMOVED
        assert not [event for event in anna.events if event.get("transaction") == "last"]


async def test_ignoring_a_kick_does_not_help(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        await mixer(ben)
        _, joined = await mixer(anna)
        await anna.stuff()
        act(rooms, room, "kick", [anna.participant_id])
        await ben.receives("leaving", joined["id"])
        await anna.vanish()


async def test_a_fresh_token_does_not_put_off_the_end(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        fresh = rooms.token(room)
        async with kicking(rooms, room, anna, participants=[anna.participant_id]):
            anna.token = fresh
            await anna.ask("keepalive")
            assert await closed(anna) == CloseCode.REMOVED


async def test_kicking_frees_a_seat_at_once(rooms: Rooms) -> None:
    room = rooms.create(max_participants=2)
    async with rooms.browser(room) as anna, rooms.browser(room) as ben, rooms.browser(room) as cleo:
        await anna.join()
        await ben.join()
        act(rooms, room, "kick", [ben.participant_id])
        await cleo.join()


async def test_revoked_tokens_admit_no_browser_and_refresh_nothing(rooms: Rooms) -> None:
    import telnyx  # takes a second, which other tests do without

    room = rooms.create()
    pair = rooms.rest.rooms.actions.generate_join_client_token(room).data
    assert pair is not None and pair.token is not None and pair.refresh_token is not None
    refreshed = rooms.rest.rooms.actions.refresh_client_token(room, refresh_token=pair.refresh_token).data
    assert refreshed is not None and refreshed.token is not None
    async with rooms.browser(room, token=pair.token) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        act(rooms, room, "kick", [anna.participant_id], revoke=True)
        await closed(anna)
        for token in (pair.token, refreshed.token):
            async with rooms.browser(room, token=token) as back:
                await back.create()
                with pytest.raises(Refused, match="revoked") as refused:
                    await back.attach(VIDEOROOM)
                assert refused.value.status == 403
        with pytest.raises(telnyx.PermissionDeniedError, match="10010"):
            rooms.rest.rooms.actions.refresh_client_token(room, refresh_token=pair.refresh_token)
        assert not ben.closed.is_set()
        async with rooms.browser(room) as other:
            await other.join()


async def test_tokens_that_were_shown_during_the_call_are_revoked_as_well(rooms: Rooms) -> None:
    room = rooms.create()
    first, second = rooms.token(room), rooms.token(room)
    async with rooms.browser(room, token=first) as anna:
        await anna.join()
        anna.token = second
        await anna.ask("keepalive")
        act(rooms, room, "kick", "all", revoke=True)
        await closed(anna)
    for token in (first, second):
        async with rooms.browser(room, token=token) as back:
            await back.create()
            with pytest.raises(Refused, match="revoked"):
                await back.attach(VIDEOROOM)


async def test_a_token_that_is_shown_on_the_way_out_is_revoked_as_well(rooms: Rooms) -> None:
    room = rooms.create()
    first, second = rooms.token(room), rooms.token(room)
    async with rooms.browser(room, token=first) as anna:
        await anna.join()
        async with kicking(rooms, room, anna, revoke=True):
            anna.token = second
            await anna.ask("keepalive")
            await closed(anna)
    async with rooms.browser(room, token=second) as back:
        await back.create()
        with pytest.raises(Refused, match="revoked"):
            await back.attach(VIDEOROOM)


async def test_mute_reaches_the_mix_and_survives_what_the_browser_tries(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        handle, _ = await mixer(anna)
        assert not await muted_in_the_mix(ben, anna)
        act(rooms, room, "mute", [anna.participant_id])

        async def is_muted() -> bool:
            return await muted_in_the_mix(ben, anna)

        await reached(is_muted, wanted=True)
        await anna.request(handle, {"request": "configure", "muted": False})
        assert await is_muted()
        await anna.ask("detach", handle_id=handle)
        handle, _ = await mixer(anna)
        assert await is_muted()
        act(rooms, room, "unmute")
        await reached(is_muted, wanted=False)


async def test_unmuting_turns_on_no_microphone_that_its_owner_had_off(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        handle, _ = await mixer(anna)
        act(rooms, room, "mute")
        await anna.request(handle, {"request": "configure", "muted": True})
        act(rooms, room, "unmute")
        await asyncio.sleep(0.3)  # nothing is to happen, so there is nothing to wait for
        assert await muted_in_the_mix(ben, anna)


async def test_mute_ends_with_leaving(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as ben:
        await ben.join()
        async with rooms.browser(room) as anna:
            await anna.join()
            act(rooms, room, "mute", [anna.participant_id])
        async with rooms.browser(room) as back:
            await back.join()
            await mixer(back)
            assert not await muted_in_the_mix(ben, back)


async def test_permissions_of_a_token_are_enforced(rooms: Rooms) -> None:
    room = rooms.create()
    token = rooms.token(
        room, extra_body={"participant": "viewer-1", "can_publish": False, "can_send_messages": "false"}
    )
    async with rooms.browser(room, token=token) as anna, rooms.browser(room) as ben:
        await anna.join("context")
        await ben.join()
        await mixer(anna)
        assert await muted_in_the_mix(ben, anna)
        assert anna.text_room != ben.text_room
        shown = {each["id"]: each for each in rooms.participants(room)}
        assert shown[anna.participant_id]["label"] == "viewer-1"
        assert "label" not in shown[ben.participant_id]
        handle = await anna.attach(VIDEOROOM)
        display = stream_display("self", anna.participant_id)
        with pytest.raises(Refused, match="does not allow publishing"):
            await anna.request(handle, {"request": "join", "room": room, "ptype": "publisher", "display": display})
    without_listening = rooms.token(room, extra_body={"can_subscribe": False})
    async with rooms.browser(room, token=without_listening) as anna:
        await anna.join()
        handle = await anna.attach(VIDEOROOM)
        with pytest.raises(Refused, match="does not allow subscribing"):
            await anna.request(handle, {"request": "join", "room": room, "ptype": "subscriber", "feed": 1})


async def test_actions_leave_their_reasons_in_the_events(rooms: Rooms) -> None:
    async with Receiver() as receiver:
        room = rooms.create(webhook_event_url=receiver.url, webhook_timeout_secs=30)
        async with rooms.browser(room) as anna, rooms.browser(room) as ben:
            await anna.join("a")
            await ben.join("b")
            act(rooms, room, "kick", [anna.participant_id])
            rooms.rest.rooms.sessions.actions.end(session_id(rooms, room))
            received = await receiver.wait_for(6, within=10)
    payloads = [request.json["data"] for request in received]
    reasons = {each["payload"].get("participant_id"): each["payload"] for each in payloads if "reason" in str(each)}
    assert reasons[anna.participant_id]["left_reason"] == "kicked"
    assert reasons[ben.participant_id]["left_reason"] == "session_ended"
    assert reasons[None]["ended_reason"] == "Ended from API"
    assert all(isinstance(payload["duration_secs"], int) for payload in reasons.values())


async def reached(condition: Any, *, wanted: bool) -> None:
    async with asyncio.timeout(WITHIN):
        while await condition() is not wanted:
            await asyncio.sleep(0.05)
