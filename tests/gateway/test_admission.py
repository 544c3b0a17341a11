"""Who gets in, and what is written about it."""

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest

from portico.gateway.connection import JOIN_SECS
from portico.signaling.effects import CloseCode
from tests.gateway.browser import Refused
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, TEXTROOM, VIDEOROOM, participant_display, stream_display
from tests.waiting import until_in_thread as until


async def test_joins_and_leaves_are_facts_before_a_browser_receives_them(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna:
        await anna.join('{"role":"host"}')
        (fact,) = rooms.participants(room)
        assert fact["id"] == anna.participant_id
        assert fact["context"] == '{"role":"host"}'
        assert fact["left_at"] is None
        assert rooms.server.get(f"/v2/rooms/{room}")["data"]["active_session_id"] == fact["session_id"]
        async with rooms.browser(room) as ben:
            joined = await ben.join()
            assert len(joined["participants"]) == 1
            await anna.receives("audiobridge", "joined")
        await until(lambda: sum(one["left_at"] is None for one in rooms.participants(room)) == 1, 2)
    await until(lambda: rooms.sessions(room)[0]["ended_at"] is not None, 5)


@pytest.mark.parametrize("how", ["says goodbye", "closes", "vanishes"])
async def test_who_receives_a_leave_can_read_it(rooms: Rooms, how: str) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        match how:
            case "says goodbye":
                await ben.ask("destroy")
            case "closes":
                await ben.leave()
            case "vanishes":
                await ben.vanish()
        await anna.receives("leaving", within=2)
        left = {one["id"]: one["left_at"] for one in rooms.participants(room)}
        assert left[ben.participant_id] is not None
        assert left[anna.participant_id] is None


async def test_a_killed_tab_has_left_within_two_seconds(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        await ben.vanish()
        gone = lambda: {one["id"] for one in rooms.participants(room) if one["left_at"]} == {ben.participant_id}  # noqa: E731
        await until(gone, 2)


@pytest.mark.one_janus
async def test_a_half_open_connection_ends_within_thirty_seconds(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room, answers_pings=False) as anna:
        await anna.join()
        await until(lambda: rooms.participants(room)[0]["left_at"] is not None, 30)


async def test_the_limit_holds_exactly_under_racing_joins(rooms: Rooms) -> None:
    room = rooms.create(max_participants=3)
    token = rooms.token(room)
    browsers = [rooms.browser(room, token=token) for _ in range(12)]
    try:
        for browser in browsers:
            await browser.__aenter__()
        outcomes = await asyncio.gather(*(browser.join() for browser in browsers), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        assert [outcome.status for outcome in refused] == [403] * 9
        assert "full" in str(refused[0])
        full = [browser for browser in browsers if any(event.get("status_code") for event in browser.events)]
        await asyncio.gather(*(asyncio.wait_for(browser.closed.wait(), 30) for browser in full))
        assert {browser.close_code for browser in full} == {CloseCode.ROOM_FULL}
        assert len(rooms.participants(room)) == 3
        assert len(rooms.sessions(room)) == 1
    finally:
        await asyncio.gather(*(browser.leave() for browser in browsers))


async def test_a_browser_that_vanishes_while_joining_is_no_ghost(rooms: Rooms) -> None:
    room = rooms.create(max_participants=20)  # a refused browser has nothing left to vanish with
    token = rooms.token(room)

    async def join_and_vanish(secs: float) -> None:
        async with rooms.browser(room, token=token) as browser:
            await browser.create()
            handle = await browser.attach(AUDIOBRIDGE)
            body = {"request": "join", "display": participant_display(browser.participant_id)}
            joining = asyncio.create_task(browser.request(handle, body))
            await asyncio.sleep(secs)
            await browser.vanish()
            joining.cancel()

    await asyncio.gather(*(join_and_vanish(number / 2000) for number in range(20)))
    await until(lambda: rooms.figure("portico_connections") == 0, 5)  # so none of the joins is still to come
    await until(lambda: all(one["left_at"] for one in rooms.participants(room)), 5)


async def test_a_seat_is_free_again_after_a_leave(rooms: Rooms) -> None:
    room = rooms.create(max_participants=2)
    async with rooms.browser(room) as anna:
        await anna.join()
        async with rooms.browser(room) as ben:
            await ben.join()
        await until(lambda: sum(one["left_at"] is None for one in rooms.participants(room)) == 1, 2)
        async with rooms.browser(room) as cleo:
            await cleo.join()


@pytest.mark.one_janus
async def test_a_participant_id_is_good_for_one_join(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as impostor:
        await anna.join()
        impostor.participant_id = anna.participant_id
        with pytest.raises(Refused) as refused:
            await impostor.join()
        assert refused.value.status == 403
        assert len(rooms.participants(room)) == 1


def _tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["exp"] += 9999
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{forged}.{signature}"


@pytest.mark.one_janus
@pytest.mark.parametrize("kind", ["garbage", "empty", "tampered", "another room", "refresh", "room deleted"])
async def test_a_bad_token_is_refused_at_once_and_leaves_no_trace(rooms: Rooms, kind: str) -> None:
    room, other = rooms.create(), rooms.create()
    pair = rooms.rest.rooms.actions.generate_join_client_token(room).data
    assert pair is not None and pair.token is not None and pair.refresh_token is not None
    bad = {
        "garbage": "x",
        "empty": "",
        "tampered": _tampered(pair.token),
        "another room": rooms.token(other),
        "refresh": pair.refresh_token,
        "room deleted": pair.token,
    }[kind]
    if kind == "room deleted":
        rooms.rest.rooms.delete(room)
    async with rooms.browser(room, token=bad) as client:
        await client.create()  # the SDK would wait 30 s for a better answer
        with pytest.raises(Refused) as refused:
            await client.attach(AUDIOBRIDGE)
        assert refused.value.status in (401, 403)
        await asyncio.wait_for(client.closed.wait(), 2)
    if kind != "room deleted":
        assert rooms.sessions(room) == []


@pytest.mark.one_janus
async def test_a_refused_browser_does_not_stay(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create(), token="x") as client:
        await client.create()
        await asyncio.wait_for(client.closed.wait(), 15)


@pytest.mark.one_janus
async def test_an_expired_token_ends_joining_also_for_a_browser_that_connected_early(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room, token=rooms.token(room, token_ttl_secs=10)) as early:
        await early.create()
        await asyncio.wait_for(early.closed.wait(), 20)
        assert early.events[-1]["status_code"] == 401
    assert rooms.participants(room) == []


@pytest.mark.one_janus
@pytest.mark.parametrize(
    "attempt",
    [
        {"janus": "attach", "plugin": "janus.plugin.streaming"},
        {"janus": "claim"},
        {"janus": "info"},
        {"janus": "message", "handle_id": 1, "body": {"request": "list"}},
    ],
)
async def test_what_is_not_for_browsers_is_refused(rooms: Rooms, attempt: dict[str, Any]) -> None:
    async with rooms.browser(rooms.create()) as browser:
        await browser.create()
        kind = attempt.pop("janus")
        with pytest.raises(Refused):
            await browser.ask(kind, **attempt)


async def test_another_session_of_janus_cannot_be_reached(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.create()
        ben._session_id = anna._session_id
        assert (await ben.ask("keepalive"))["session_id"] != anna._session_id


@pytest.mark.one_janus
async def test_operators_requests_do_not_pass(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create()) as anna:
        await anna.join()
        handle = await anna.attach(VIDEOROOM)
        with pytest.raises(Refused):
            await anna.request(handle, {"request": "create", "room": 7})


async def test_a_participant_speaks_for_itself_alone(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join()
        await ben.join()
        handle = await ben.attach(VIDEOROOM)
        body = {"request": "join", "ptype": "publisher", "display": stream_display("self", anna.participant_id)}
        with pytest.raises(Refused):
            await ben.request(handle, body)


@pytest.mark.one_janus
@pytest.mark.parametrize("text", ["{", "[]", "7", '{"a":', "\x00", "[" * 10_000, '{"janus":"create"}'])
async def test_garbage_is_answered_and_closed(rooms: Rooms, text: str) -> None:
    async with rooms.browser(rooms.create()) as browser:
        await browser.socket.send_str(text)
        await asyncio.wait_for(browser.closed.wait(), 30)
        assert browser.events[-1]["status_code"] == 400


@pytest.mark.one_janus
async def test_an_oversized_message_is_closed(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create()) as browser:
        await browser.socket.send_str("x" * 300_000)
        await asyncio.wait_for(browser.closed.wait(), 30)
        assert browser.close_code == 1009


async def test_no_browser_stays_unseen_on_a_data_channel(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as unseen, rooms.browser(room) as lobby, rooms.browser(room) as anna:
        for browser in (unseen, lobby, anna):
            await browser.create()
        for browser in (unseen, anna):
            handle = await browser.attach(TEXTROOM)
            await browser.request(handle, {"request": "setup", "room": room})
        register = await anna.attach(AUDIOBRIDGE)
        body = {"request": "join", "display": participant_display(anna.participant_id, "Anna")}
        await anna.request(register, body)
        unseen.token = rooms.token(room)  # puts nothing off
        await unseen.ask("keepalive")
        await asyncio.wait_for(unseen.closed.wait(), JOIN_SECS + 3)  # time itself is what this test is about
        assert unseen.close_code == 3999
        for browser in (lobby, anna):
            assert (await browser.ask("keepalive"))["janus"] == "ack"


@pytest.mark.one_janus
async def test_a_silent_socket_is_closed(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create()) as browser:
        await asyncio.wait_for(browser.closed.wait(), 15)
        assert browser.close_code == 3999


@pytest.mark.one_janus
@pytest.mark.parametrize(("path", "protocols"), [("not-a-room/janus", ("janus-protocol",)), ("{room}/janus", ())])
async def test_a_handshake_that_is_no_sdks_is_refused(
    server: PorticoServer, rooms: Rooms, path: str, protocols: tuple[str, ...]
) -> None:
    url = f"{server.base_url.replace('http', 'ws')}/{path.format(room=rooms.create())}"
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(url, protocols=protocols)


async def test_a_context_of_any_text_comes_back_byte_for_byte(rooms: Rooms) -> None:
    room = rooms.create()
    context = '{"name":"Zoë \\u0000 \U0001f600", "n": 1e3}\n\t'
    async with rooms.browser(room) as anna:
        await anna.join(context)
        assert rooms.participants(room)[0]["context"] == context


async def test_a_context_that_is_too_long_is_refused_in_words_and_a_shorter_one_joins(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna:
        with pytest.raises(Refused, match="the context must have at most 4096 bytes"):
            await anna.join("x" * 4097)
        assert rooms.participants(room) == []
    async with rooms.browser(room) as anna:
        await anna.join("x" * 4096)
        assert rooms.participants(room)[0]["context"] == "x" * 4096


async def test_the_number_of_the_text_room_leads_nowhere_else(rooms: Rooms) -> None:
    room = rooms.create()
    numbers: set[int] = set()
    async with asyncio.timeout(10):
        while len(numbers) < 2:  # a join before the end of the last connection finds the same rooms
            async with rooms.browser(room) as anna:
                await anna.join()
                numbers.add(anna.text_room)


def test_participant_display_is_what_the_suite_thinks() -> None:
    assert json.loads(base64.b64decode(participant_display("p", "c")))["external"] == "c"
