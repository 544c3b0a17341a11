"""Answers that embed much: bounded, complete as far as they go, and written off the event loop."""

import asyncio
import json
import time
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from starlette.types import Message

from portico.api.lists import ANSWER_BYTES_MAX
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import gateways, listing
from portico.services.webhook_log import SEARCHED
from portico.services.webhooks import DELIVERIES
from portico.signaling.display import CONTEXT_BYTES_MAX
from tests.api.world import World

LOOP_SECS = 0.05
"""Of the loop's own time that one answer may take, however large it is."""


def fill(tx: Transaction, world: World, room_id: str, context: str, sessions: int, each: int) -> None:
    """Calls of the past, as the gateway leaves them: so many sessions with so many participants each."""
    at = world.clock.now
    gateway_id = gateways.register(tx, at)
    account_id = tx.execute(schema.rooms.select().where(schema.rooms.c.id == room_id)).one().account_id
    session = {"room_id": room_id, "account_id": account_id, "active": False}
    made = [
        {"id": str(uuid4()), "created_at": at, "updated_at": at, "ended_at": at, **session} for _ in range(sessions)
    ]
    tx.execute(schema.room_sessions.insert(), made)
    person = {
        "room_id": room_id,
        "account_id": account_id,
        "context": context,
        "gateway_id": gateway_id,
        "joined_at": at,
        "updated_at": at,
    }
    for one in made:
        people = [
            {"id": str(uuid4()), "session_id": one["id"], **person, "left_at": at + timedelta(seconds=n)}
            for n in range(each)
        ]
        tx.execute(schema.room_participants.insert(), people)


async def get(world: World, path: str, query: str) -> tuple[int, bytes]:
    """The answer to K1, whose making is all that the event loop has to do."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"authorization", f"Bearer {world.key}".encode())],
        "client": ("127.0.0.1", 1),
    }
    status, content = 0, b""

    async def receive() -> dict[str, Any]:
        message: dict[str, Any] = await asyncio.get_running_loop().create_future()
        return message

    async def send(message: Message) -> None:
        nonlocal status, content
        status = message.get("status", status)
        content += message.get("body", b"")

    await world.app(scope, receive, send)
    return status, content


async def test_ten_thousand_participants_with_long_contexts_make_a_bounded_answer(sqlite_world: World) -> None:
    room = await sqlite_world.room()
    context = '"' * CONTEXT_BYTES_MAX  # each takes two bytes in JSON
    write = partial(fill, world=sqlite_world, room_id=room["id"], context=context, sessions=50, each=200)
    await sqlite_world.db.write(write)
    both = "include_sessions=true&include_participants=true&page[size]=250"
    for path in ("/v2/rooms", f"/v2/rooms/{room['id']}", "/v2/room_sessions"):
        before = time.thread_time()
        status, content = await get(sqlite_world, path, both)
        spent = time.thread_time() - before
        assert status == 200 and len(content) < ANSWER_BYTES_MAX
        assert spent < LOOP_SECS
        data = json.loads(content)["data"]
        shown = data if path == "/v2/room_sessions" else (data[0] if isinstance(data, list) else data)["sessions"]
        assert len(shown) == 50
        embedded = sum(len(each["participants"]) for each in shown)
        assert embedded == listing.EMBEDDED_CONTEXT_CHARS // CONTEXT_BYTES_MAX


async def test_what_is_too_large_all_the_same_is_refused_in_words(sqlite_world: World) -> None:
    """Contexts of earlier versions had no limit of their own."""
    room = await sqlite_world.room()
    write = partial(fill, world=sqlite_world, room_id=room["id"], context="x" * 100_000, sessions=1, each=120)
    await sqlite_world.db.write(write)
    refused = await sqlite_world.k1.get("/v2/room_participants?page[size]=120")
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["source"] == {"parameter": "page[size]"} and "smaller page" in error["detail"]
    assert (await sqlite_world.k1.get("/v2/room_participants?page[size]=60")).status_code == 200


@pytest.mark.parametrize("length", [250, 251])
async def test_the_text_that_contains_looks_for_is_short(world: World, length: int) -> None:
    answer = await world.k1.get("/v2/webhook_deliveries", params={"filter[webhook][contains]": "x" * length})
    assert answer.status_code == (200 if length == 250 else 422)


async def test_contains_looks_into_the_newest_that_match_all_else(sqlite_world: World) -> None:
    room, other = [await sqlite_world.room(webhook_event_url="http://receiver.example/") for _ in range(2)]
    await sqlite_world.join(room["id"], "needle")
    found = "/v2/webhook_deliveries?filter[webhook][contains]=needle"
    assert (await sqlite_world.k1.get(found)).json()["meta"]["total_results"] == 1
    (oldest, *_) = await sqlite_world.db.read(lambda tx: tx.execute(DELIVERIES.select()).mappings().all())
    later = {**oldest, "room_id": other["id"], "created_at": sqlite_world.clock.now + timedelta(hours=1)}
    del later["seq"]
    newer = [{**later, "id": str(uuid4())} for _ in range(SEARCHED)]
    await sqlite_world.db.write(lambda tx: tx.execute(DELIVERIES.insert(), newer))
    assert (await sqlite_world.k1.get(found)).json()["meta"]["total_results"] == 0
    within = f"{found}&filter[room_id]={room['id']}"
    assert (await sqlite_world.k1.get(within)).json()["meta"]["total_results"] == 1
