"""The acceptance cases of the contract about webhooks, by number: a real server, real receivers, the official SDK."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Rooms
from tests.receiver import Received, Receiver, redirect, slow, status
from tests.servers import PorticoServer, kept_port

PATIENT = {"webhook_timeout_secs": 30}
"""For receivers that answer at once, on a machine that may not let them."""


async def an_event(rooms: Rooms, **settings: Any) -> None:
    """A participant joins a room with these settings and leaves. Of the events that follow the first matters here."""
    async with rooms.browser(rooms.create(**settings)) as anna:
        await anna.join()


def of_first_event(received: list[Received]) -> list[Received]:
    first = received[0].json["data"]["id"]
    return [each for each in received if each.json["data"]["id"] == first]


async def test_42_failover_and_rounds_carry_the_same_event(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:
        rooms = Rooms(server)
        with rooms.rest:
            async with Receiver(status(500), otherwise=status(200)) as one, Receiver(status(500)) as two:
                await an_event(rooms, webhook_event_url=one.url, webhook_event_failover_url=two.url, **PATIENT)
                first = of_first_event(await one.wait_for(2, within=20))
                while len(first) < 2:
                    first = of_first_event(await one.wait_for(len(one.requests) + 1, within=20))
                second = of_first_event(await two.wait_for(1, within=20))
            attempts = sorted([*first, *second], key=lambda each: each.json["meta"]["attempt"])
            sent = [(each.json["meta"]["attempt"], each.json["meta"]["delivered_to"]) for each in attempts]
            assert sent == [(1, one.url), (2, two.url), (3, one.url)]
            assert len({each.body.partition(b',"meta":')[0] for each in attempts}) == 1
            key = server.get("/v2/public_key")["data"]["public"]
            from telnyx import Telnyx  # takes a second, which other tests do without

            client = Telnyx(api_key="unused", public_key=key)
            for each in attempts:
                client.webhooks.unwrap(each.body.decode(), headers=each.headers)
            assert len({each.headers["telnyx-timestamp"] for each in attempts}) >= 2


@pytest.mark.parametrize(
    ("behaviour", "settings", "succeeds"),
    [(redirect("http://127.0.0.1:1/"), PATIENT, False), (slow(3), {}, False), (status(204), PATIENT, True)],
)
async def test_43_what_counts_as_received(
    tmp_path: Path, behaviour: Any, settings: Any, succeeds: bool, portico: type[PorticoServer]
) -> None:
    with portico(tmp_path / "data") as server:
        rooms = Rooms(server)
        with rooms.rest:
            async with Receiver(behaviour, otherwise=status(200)) as receiver:
                await an_event(rooms, webhook_event_url=receiver.url, **settings)
                await receiver.wait_for(1, within=20)

                async def outcome() -> Any:
                    deliveries = await asyncio.to_thread(server.get, "/v2/webhook_deliveries")
                    (first,) = [
                        each
                        for each in deliveries["data"]
                        if each["webhook"]["event_type"] == "video.room.session.started"
                    ]
                    return first["attempts"]

                async with asyncio.timeout(20):
                    while not (attempts := await outcome()):
                        await asyncio.sleep(0.1)
                assert attempts[0]["status"] == ("delivered" if succeeds else "failed")


async def test_44_a_restart_forgets_no_event(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:
        rooms = Rooms(server)
        with kept_port() as kept, rooms.rest:
            port = kept.getsockname()[1]
            await an_event(rooms, webhook_event_url=f"http://127.0.0.1:{port}/hook")
            await asyncio.to_thread(server.kill9)
            async with Receiver(port=port) as receiver:
                await asyncio.to_thread(server.restart)
                wanted = {"session.started", "participant.joined", "participant.left"}
                async with asyncio.timeout(60):
                    while not wanted <= {_kind(each) for each in receiver.requests}:
                        await receiver.wait_for(len(receiver.requests) + 1, within=60)


def _kind(request: Received) -> str:
    kind: str = request.json["data"]["event_type"]
    return kind.removeprefix("video.room.")
