"""The delivery log and the public key over REST: shape, filters, isolation, replay, and the official Python SDK."""

import json
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from portico.core.webhook import public_key
from portico.db.engine import Transaction
from portico.services import webhooks
from portico.services.webhook_keys import read as read_webhook_keys
from portico.services.webhook_keys import rotate as rotate_webhook_key
from tests.api.serving import Served
from tests.api.world import World
from tests.factories import rows

URL = "http://127.0.0.1:1/hook"
DELIVERIES = "/v2/webhook_deliveries"


async def joined(world: World, **settings: Any) -> list[str]:
    """A participant joins a new room with a webhook: the deliveries of session.started and participant.joined."""
    room = await world.room(webhook_event_url=URL, webhook_event_failover_url=f"{URL}/2", **settings)
    await world.join(room["id"], "Zo\u00eb")
    found = await world.db.read(lambda tx: rows(tx, webhooks.DELIVERIES, room_id=room["id"]))
    return [row.id for row in sorted(found, key=lambda row: int(row.seq))]


async def tried(world: World, delivery_id: str, number: int = 1, status_code: int | None = 500) -> None:
    """One request and its answer, or none; it ends the delivery."""
    started, finished = world.clock(), world.clock()
    delivered = status_code == 200

    def write(tx: Transaction) -> None:
        webhooks.record_attempt(
            tx,
            delivery_id,
            number=number,
            url=URL,
            started_at=started,
            finished_at=finished,
            delivered=delivered,
            status_code=status_code,
            error=None if delivered else f"answered {status_code}" if status_code else "timed out after 2 s",
            request_headers={"content-type": "application/json"},
            response_headers={"server": "nginx"} if status_code else {},
            response_body="oops" if status_code else "",
        )
        webhooks.conclude_round(tx, delivery_id, delivered=delivered, next_due=None, now=finished)

    await world.db.write(write)


async def retrieved(world: World, delivery_id: str) -> dict[str, Any]:
    answer = await world.k1.get(f"{DELIVERIES}/{delivery_id}")
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.json()["data"]
    return members


async def test_a_delivery_that_was_not_tried_yet(sqlite_world: World) -> None:
    _, delivery_id = await joined(sqlite_world)
    delivery = await retrieved(sqlite_world, delivery_id)
    row = (await sqlite_world.db.read(lambda tx: rows(tx, webhooks.DELIVERIES, id=delivery_id)))[0]
    assert delivery["webhook"] == json.loads(row.data)
    assert delivery["webhook"]["payload"]["context"] == "Zo\u00eb"
    assert (delivery["status"], delivery["attempts"], delivery["attempt_count"]) == (None, [], 0)
    assert (delivery["started_at"], delivery["finished_at"]) == (None, None)
    assert delivery["next_attempt_at"] == delivery["created_at"]
    assert (delivery["user_id"], delivery["room_id"]) == (row.account_id, row.room_id)
    assert delivery["record_type"] == "webhook_delivery"


async def test_attempts_are_listed_newest_first(sqlite_world: World) -> None:
    _, delivery_id = await joined(sqlite_world)
    for number, status_code in enumerate((None, 302, 200), start=1):
        await tried(sqlite_world, delivery_id, number, status_code)
    delivery = await retrieved(sqlite_world, delivery_id)
    assert (delivery["status"], delivery["attempt_count"], delivery["next_attempt_at"]) == ("delivered", 3, None)
    newest, redirected, silent = delivery["attempts"]
    assert [each["number"] for each in delivery["attempts"]] == [3, 2, 1]
    assert (newest["status"], newest["errors"], newest["error"], newest["latency_ms"]) == ("delivered", [], None, 1.0)
    assert newest["http"] == {
        "request": {"url": URL, "headers": [["content-type", "application/json"]]},
        "response": {"status": 200, "headers": [["server", "nginx"]], "body": "oops"},
    }
    assert (redirected["status"], redirected["errors"], redirected["error"]) == ("failed", [302], "answered 302")
    assert (silent["errors"], silent["error"], silent["http"]["response"]) == ([0], "timed out after 2 s", None)
    assert (delivery["started_at"], delivery["finished_at"]) == (silent["started_at"], newest["finished_at"])


async def test_every_filter_over_http(world: World) -> None:
    started, arrived = await joined(world)
    await tried(world, started)
    world.clock.advance(days=1)
    await tried(world, arrived, 1, 200)
    others = await joined(world)
    room_id = (await retrieved(world, started))["room_id"]
    today = world.clock.now.date()
    noon = (world.clock.now - timedelta(hours=12)).isoformat().replace("+00:00", "Z")

    async def found(query: str) -> list[str]:
        answer = await world.k1.get(f"{DELIVERIES}?{query}")
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["data"]]

    assert sorted(await found("")) == sorted([started, arrived, *others])
    assert await found("filter[status][eq]=failed") == [started]
    assert await found("filter[status]=delivered") == [arrived]
    assert sorted(await found("filter[status]=pending")) == sorted(others)
    assert await found("filter[event_type]=video.room.session.started&filter[status]=failed") == [started]
    both = "filter[event_type]=video.room.session.started,video.room.participant.joined"
    assert len(await found(both)) == 4
    assert await found("filter[event_type]=video.room.session.ended") == []
    assert await found(f"filter[started_at][lte]={noon}") == [started]
    assert await found(f"filter[started_at][gte]={today}") == [arrived]
    assert await found(f"filter[finished_at][gte]={noon}") == [arrived]
    assert await found("filter[attempts][contains]=answered 500") == [started]
    assert await found(f"filter[webhook][contains]=Zo%C3%AB&filter[room_id]={room_id.upper()}") == [arrived]
    assert len(await found("page[size]=3&page[number]=2")) == 1


async def test_every_wrong_filter_is_named(sqlite_world: World) -> None:
    wrong = (
        "filter[status]=lost",
        "filter[webhook]=x",
        "filter[attempts][eq]=x",
        "filter[url]=x",
        "filter[room_id]=x",
        "filter[started_at][gte]=soon",
        "filter[event_type][contains]=x",
        "page[size]=0",
    )
    answer = await sqlite_world.k1.get(f"{DELIVERIES}?{'&'.join(wrong)}")
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [each["source"]["parameter"] for each in errors] == [each.partition("=")[0] for each in wrong]
    assert [each["code"] for each in errors] == ["10032", *["10031"] * 6, "10015"]


async def test_accounts_do_not_see_each_other(sqlite_world: World) -> None:
    delivery_id, _ = await joined(sqlite_world)
    await tried(sqlite_world, delivery_id)
    replay = f"{DELIVERIES}/{delivery_id}/actions/replay"
    assert (await sqlite_world.k2.get(DELIVERIES)).json()["data"] == []
    assert (await sqlite_world.k2.get(f"{DELIVERIES}/{delivery_id}")).status_code == 404
    assert (await sqlite_world.k2.post(replay)).status_code == 404
    many = await sqlite_world.k2.post(f"{DELIVERIES}/actions/replay")
    assert many.json() == {"data": {"webhook_deliveries": 0}}
    assert (await retrieved(sqlite_world, delivery_id))["status"] == "failed"
    for unknown in ("x", str(uuid4())):
        assert (await sqlite_world.k1.get(f"{DELIVERIES}/{unknown}")).status_code == 404
        assert (await sqlite_world.k1.post(f"{DELIVERIES}/{unknown}/actions/replay")).status_code == 404
    for path in (DELIVERIES, f"{DELIVERIES}/{delivery_id}", "/v2/public_key"):
        assert (await sqlite_world.anonymous.get(path)).status_code == 401
    for path in (replay, f"{DELIVERIES}/actions/replay"):
        assert (await sqlite_world.anonymous.post(path)).status_code == 401


async def test_one_is_replayed_to_where_the_room_points_now(world: World) -> None:
    delivery_id, _ = await joined(world)
    await tried(world, delivery_id)
    room_id = (await retrieved(world, delivery_id))["room_id"]
    await world.k1.patch(f"/v2/rooms/{room_id}", json={"webhook_event_url": f"{URL}/mended"})
    answer = await world.k1.post(f"{DELIVERIES}/{delivery_id}/actions/replay")
    assert answer.status_code == 202
    delivery = answer.json()["data"]
    assert (delivery["id"], delivery["status"], delivery["attempt_count"]) == (delivery_id, None, 1)
    assert delivery["next_attempt_at"] is not None and delivery["finished_at"] is None
    row = (await world.db.read(lambda tx: rows(tx, webhooks.DELIVERIES, id=delivery_id)))[0]
    assert row.url == f"{URL}/mended"


async def test_many_are_replayed(world: World) -> None:
    old = await joined(world)
    for delivery_id in old:
        await tried(world, delivery_id)
    world.clock.advance(hours=1)
    since = world.clock.now.isoformat()
    recent = await joined(world) + await joined(world)
    for delivery_id in recent:
        await tried(world, delivery_id)
    await tried(world, recent[0], 2, 200)

    async def replayed(body: object) -> int:
        answer = await world.k1.post(f"{DELIVERIES}/actions/replay", json=body)
        assert answer.status_code == 202, answer.text
        count: int = answer.json()["data"]["webhook_deliveries"]
        return count

    room_id = (await retrieved(world, recent[2]))["room_id"]
    assert await replayed({"room_id": str(uuid4())}) == 0
    assert await replayed({"event_type": "video.room.session.ended"}) == 0
    assert await replayed({"started_at": {"gte": since}, "room_id": room_id}) == 2
    assert await replayed({"started_at": {"gte": since, "lte": None}, "status": "failed"}) == 1
    assert await replayed({}) == len(old), "what has failed, and nothing else"
    assert (await retrieved(world, recent[0]))["status"] == "delivered"
    assert await replayed({"status": "delivered"}) == 1


async def test_every_wrong_member_is_named(sqlite_world: World) -> None:
    answer = await sqlite_world.k1.post(
        f"{DELIVERIES}/actions/replay",
        json={
            "status": "lost",
            "started_at": {"gte": "soon", "gt": "2026-03-26", "lte": 5},
            "room_id": 7,
            "event_typ": "x",
            "a/b": {},
        },
    )
    assert answer.status_code == 422
    named = [(each["source"]["pointer"], each["code"]) for each in answer.json()["errors"]]
    assert named == [
        ("/status", "10032"),
        ("/started_at/gte", "10031"),
        ("/started_at/gt", "10031"),
        ("/started_at/lte", "10026"),
        ("/room_id", "10026"),
        ("/event_typ", "10031"),
        ("/a~1b", "10031"),
    ]
    assert (await sqlite_world.k1.post(f"{DELIVERIES}/actions/replay", json=[])).status_code == 422


async def test_the_public_key_and_the_one_to_come(sqlite_world: World) -> None:
    keys, now = sqlite_world.webhook_keys, sqlite_world.clock.now
    now_signing = public_key(keys.current(now))

    async def published() -> dict[str, Any]:
        members: dict[str, Any] = (await sqlite_world.k2.get("/v2/public_key")).json()["data"]
        return members

    assert await published() == {"public": now_signing, "next": None, "record_type": "public_key"}
    rotate = partial(rotate_webhook_key, setting=None, now=now, overlap=timedelta(hours=24))
    coming = await sqlite_world.db.write(rotate)
    keys.replace_with(await sqlite_world.db.read(read_webhook_keys))
    announced = await published()
    assert announced["public"] == now_signing
    assert announced["next"] == {
        "public": public_key(coming.private),
        "active_from": coming.active_from.isoformat().replace("+00:00", "Z"),
    }
    sqlite_world.clock.advance(hours=25)
    assert await published() == {"public": public_key(coming.private), "next": None, "record_type": "public_key"}


def test_the_official_sdk_reads_the_log(served: Served) -> None:
    from telnyx import Telnyx  # takes a second, which other tests do without

    world = served.world
    delivery_id, other = served.run(joined(world))
    served.run(tried(world, delivery_id))
    with (
        Telnyx(api_key=world.key, base_url=f"{served.base_url}/v2") as sdk,
        Telnyx(api_key=world.key, base_url=f"{served.base_url}/v2", _strict_response_validation=True) as strict,
    ):
        delivery = strict.webhook_deliveries.retrieve(delivery_id).data
        assert delivery is not None and delivery.webhook is not None and delivery.attempts is not None
        assert (delivery.status, delivery.webhook.event_type) == ("failed", "video.room.session.started")
        http = delivery.attempts[0].http
        assert http is not None and http.response is not None and http.request is not None
        assert (http.request.url, http.response.status, delivery.attempts[0].errors) == (URL, 500, [500])
        # Strictly, the SDK does not know `pending`.
        listed = sdk.webhook_deliveries.list(page_size=1)
        assert sorted(str(each.id) for each in listed) == sorted([delivery_id, other])
        found = strict.webhook_deliveries.list(
            filter={
                "status": {"eq": "failed"},
                "event_type": "video.room.session.started,video.room.session.ended",
                "webhook": {"contains": "session_id"},
                "attempts": {"contains": "oops"},
                "started_at": {"gte": "2026-03-26T00:00:00Z", "lte": "2026-03-27T00:00:00.5+01:00"},
                "finished_at": {"gte": "2026-03-26", "lte": "2026-03-26"},
            }
        )
        assert [each.id for each in found] == [delivery_id]
