"""The socket of the connection check, with real Janus: what an anonymous client gets, how long, what remains."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from portico.core.ice import IceServer, IceServers
from portico.gateway.check_slots import ADDRESS_AT_ONCE_MAX
from portico.gateway.checks import MESSAGES_MAX, RELAY_LIFETIME, CheckContext, Checks
from portico.janus.config import find_janus
from tests.gateway.browser import Refused
from tests.gateway.check_client import ANSWER_SECS, OFFER, CheckClient
from tests.gateway.inside import Inside, RunsInside
from tests.servers import PorticoServer
from tests.waiting import until

NO_RELAY = IceServers()
RELAY = IceServers(
    (
        IceServer(("turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp", "turns:192.0.2.1:5349")),
        IceServer(("turn:192.0.2.2:3478",), "fixed", "password"),
    ),
    "a secret",
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory, portico_inside: RunsInside) -> AsyncIterator[Inside]:
    async with portico_inside(tmp_path_factory.mktemp("checks") / "data") as running:
        yield running


@contextlib.asynccontextmanager
async def a_server(checks: Checks) -> AsyncIterator[str]:
    """Serves these checks on a port of their own; gives the base URL."""
    app = Starlette(routes=[WebSocketRoute("/check/socket", checks)])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, ws="websockets-sansio", lifespan="off", log_config=None, access_log=False)
        )
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listening])
        serving = asyncio.create_task(server.main_loop())
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            await checks.stop()
            server.should_exit = True
            await serving
            await server.shutdown(sockets=[listening])


async def sessions_of_janus(program: Inside) -> set[int]:
    """The ids of Janus' sessions, by its Admin API: those of the server itself, and one for each check."""
    admin = program.janus._admin
    assert admin is not None
    return set((await admin.core({"janus": "list_sessions"}, deadline=5.0))["sessions"])


async def no_check_runs(program: Inside) -> None:
    await until(lambda: program.checks.slots.running == 0)


async def none_is_left(program: Inside, before: set[int]) -> None:
    """Janus frees a session shortly after its socket has closed; one of an earlier test may be among `before`."""

    async def is_so() -> bool:
        return await sessions_of_janus(program) <= before

    await until(is_so)


async def test_an_anonymous_client_gets_an_echo_and_janus_has_nothing_left_of_it(program: Inside) -> None:
    before = await sessions_of_janus(program)
    async with CheckClient(program.base_url) as client:
        begun = await client.begin()
        assert begun["check"] == "begun"
        assert begun["admitted"] is False
        answer = await client.offer()
        assert answer["check"] == "answer", answer
        assert "m=audio" in answer["sdp"] and "m=video" in answer["sdp"] and "a=candidate:" in answer["sdp"]
        assert await client.answer({"check": "ping", "n": 7}) == {"check": "pong", "n": 7}
        assert len(await sessions_of_janus(program) - before) == 1
    await no_check_runs(program)
    await none_is_left(program, before)


async def test_a_path_is_tried_once_and_an_echo_that_ends_is_gone(program: Inside) -> None:
    async with CheckClient(program.base_url) as client:
        await client.begin()
        for path in ("direct", "udp", "tcp", "tls"):
            assert (await client.offer(path))["check"] == "answer"
            await client.send({"check": "end", "path": path})
        assert (await client.offer("direct"))["reason"] == "used"
        await client.send({"check": "end", "path": "direct"})  # a second end is no error
        assert (await client.answer({"check": "ping", "n": 1}))["check"] == "pong"
    await no_check_runs(program)


async def test_offers_that_no_check_makes_are_refused(program: Inside) -> None:
    data = OFFER.replace("a=group", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=group")
    offers = {"direct": data, "udp": "v=0\r\nm=audio what\r\n", "tcp": "x" * 20_000, "tls": None}
    async with CheckClient(program.base_url) as client:
        await client.begin()
        for path, offer in offers.items():
            answer = await client.offer(path, offer)
            assert (answer["check"], answer["path"], answer["reason"]) == ("failed", path, "offer"), answer
    await no_check_runs(program)


@pytest.mark.parametrize("text", ["{", '{"janus": "create"}', '{"check": "offer", "path": "x", "sdp": ""}', "[]", "7"])
async def test_janus_own_messages_end_a_check(program: Inside, text: str) -> None:
    async with CheckClient(program.base_url) as client:
        await client.begin()
        await client.socket.send_str(text)
        assert await client.closed() == 1000
    await no_check_runs(program)


async def test_the_third_check_of_an_address_is_refused_in_words(program: Inside) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(ADDRESS_AT_ONCE_MAX):
            client = await stack.enter_async_context(CheckClient(program.base_url))
            assert (await client.begin())["check"] == "begun"
        late = await stack.enter_async_context(CheckClient(program.base_url))
        refusal = await late.begin()
        assert (refusal["check"], refusal["reason"], refusal["retry_secs"]) == ("refused", "busy", 60)
        assert refusal["sentence"].startswith("Other checks are running from your network")
        assert await late.closed() == 1000
    await no_check_runs(program)
    async with CheckClient(program.base_url) as client:
        assert (await client.begin())["check"] == "begun"


@pytest.mark.parametrize("end", ["close", "vanish", "bad message", "offer on its way"])
async def test_whatever_ends_a_check_janus_has_nothing_left_of_it(program: Inside, end: str) -> None:
    before = await sessions_of_janus(program)
    async with CheckClient(program.base_url) as client:
        await client.begin()
        assert (await client.offer())["check"] == "answer"
        assert len(await sessions_of_janus(program) - before) == 1
        if end == "vanish":
            client.vanish()
        elif end == "bad message":
            await client.send({"check": "more"})
            await client.closed()
        elif end == "offer on its way":
            await client.send({"check": "offer", "path": "udp", "sdp": OFFER})
            client.vanish()
    await no_check_runs(program)
    await none_is_left(program, before)


async def test_a_check_ends_in_time_whatever_it_does(program: Inside) -> None:
    gateway = program.gateway
    context = CheckContext(gateway._db, gateway._keys, program.janus, gateway._clock, NO_RELAY, lambda: False, secs=1)
    before = await sessions_of_janus(program)
    async with a_server(Checks(context)) as base_url, CheckClient(base_url) as client:
        assert (await client.begin())["secs"] == 1
        await client.offer()
        assert await client.closed() == 1000
    await none_is_left(program, before)
    async with CheckClient(program.base_url) as client:
        await client.begin()
        for number in range(MESSAGES_MAX):
            await client.send({"check": "ping", "n": number})
        for _ in range(MESSAGES_MAX):
            assert (await client.socket.receive_json(timeout=ANSWER_SECS))["check"] == "pong"
        assert await client.closed() == 1000


async def test_no_check_begins_while_the_server_stops(program: Inside) -> None:
    gateway = program.gateway
    context = CheckContext(gateway._db, gateway._keys, program.janus, gateway._clock, NO_RELAY, lambda: True)
    async with a_server(Checks(context)) as base_url, CheckClient(base_url) as client:
        assert (await client.begin())["reason"] == "stopping"


async def test_relays_have_credentials_for_visitors_of_a_meeting_only(program: Inside) -> None:
    gateway = program.gateway

    context = CheckContext(gateway._db, gateway._keys, program.janus, gateway._clock, RELAY, lambda: False)
    room_id, other = await program.room(), await program.room()
    link = (await program.post(f"/v2/rooms/{room_id}/actions/generate_meeting_link"))["meeting_link"]
    token, invite = await program.token(room_id), link.partition("#")[2]
    valid: list[dict[str, str]] = [{"room_id": room_id, "token": token}, {"room_id": room_id, "invite": invite}]
    others: list[dict[str, str]] = [
        {},
        {"room_id": room_id},
        {"token": token},
        {"room_id": other, "token": token},
        {"room_id": other, "invite": invite},
        {"room_id": room_id, "invite": "wrong"},
        {"room_id": room_id, "token": "wrong"},
        {"room_id": "no room", "invite": invite},
    ]
    holders: set[str] = set()
    async with a_server(Checks(context)) as base_url:
        for proof in [*valid, *others]:
            async with CheckClient(base_url) as client:
                begun = await client.begin(**proof)
            assert begun["admitted"] is (proof in valid), proof
            assert set(begun["relays"]) == {"udp", "tcp", "tls"}
            for relay in begun["relays"].values():
                assert ("credential" in relay) is (proof in valid), proof
                if proof in valid:
                    expiry, holder = relay["username"].split(":")
                    holders.add(holder)
                    assert 0 < int(expiry) - gateway._clock().timestamp() <= RELAY_LIFETIME.total_seconds()
    assert len(holders) == 1, "or each check would have another share of the relay"


async def test_signaling_does_not_attach_to_the_echo(program: Inside) -> None:
    room_id = await program.room()
    async with await program.browser(room_id) as browser:
        created = await browser.ask("create")
        assert created["janus"] == "success"
        with pytest.raises(Refused):
            await browser.ask("attach", plugin="janus.plugin.echotest")


async def test_a_janus_that_is_lost_fails_the_offer_in_words(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:
        async with CheckClient(server.base_url) as client:
            await client.begin()
            assert (await client.offer())["check"] == "answer"
            (janus,) = server.descendants("janus")
            os.kill(janus, signal.SIGKILL)
            answer = await client.offer("udp")
            assert (answer["check"], answer["reason"]) == ("failed", "media")
            server.stop()  # a check does not hold up the end
            assert await client.closed() == 1012


async def test_a_janus_without_the_plugin_is_named(tmp_path: Path, portico: type[PorticoServer]) -> None:
    binary = find_janus(None).resolve()
    (libraries,) = [folder for folder in binary.parent.parent.glob("lib/**/janus") if (folder / "plugins").is_dir()]
    copy = tmp_path / "janus"
    (copy / "bin").mkdir(parents=True)
    shutil.copy(binary, copy / "bin" / "janus")
    shutil.copytree(libraries, copy / "lib" / "janus", ignore=shutil.ignore_patterns("libjanus_echotest*"))
    with portico(tmp_path / "data", JANUS_BIN=str(copy / "bin" / "janus")) as server:
        async with CheckClient(server.base_url) as client:
            await client.begin()
            answer = await client.offer()
    assert (answer["check"], answer["reason"]) == ("failed", "echo")
    assert answer["sentence"] == "The media server has no EchoTest plugin."
