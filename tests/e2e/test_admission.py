"""Who gets into a room and who does not, and that the one at the door learns it at once."""

import base64
import json
import time

import pytest
from telnyx import Telnyx

from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.e2e.conftest import Call
from tests.e2e.person import Person
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTIFIED_WITHIN_SECS = 2.0
SHORTEST_TOKEN_SECS = 10


@pytest.fixture(scope="module", autouse=True)
def expiring(server: PorticoServer) -> tuple[str, str]:
    """A room, and a token for it with the shortest life there is, made before the first test."""
    rest = Telnyx(api_key=server.api_key, base_url=f"{server.base_url}/v2", max_retries=0, timeout=ANSWERS_WITHIN_SECS)
    with rest:
        room = rest.rooms.create().data
        assert room is not None and room.id is not None
        pair = rest.rooms.actions.generate_join_client_token(room.id, token_ttl_secs=SHORTEST_TOKEN_SECS).data
    assert pair is not None and pair.token is not None
    return room.id, pair.token


async def _expect_refusal(person: Person, room_id: str, token: str) -> None:
    """The SDK knows no refusal: it initializes, and then it is disconnected.

    Without messages: how long a data channel takes to open, before the SDK asks to join, is up to the browser.
    """
    await person.knock(room_id, token, messages=False)
    await person.wait_for("disconnected", within=NOTIFIED_WITHIN_SECS)
    assert not person.happened("connected")


def _tampered(token: str) -> str:
    """The same token with a later expiry and the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["exp"] += 3600
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{forged}.{signature}"


async def test_limit_refuses_the_third_of_two(call: Call) -> None:
    await call.create_room(max_participants=2)
    anna, ben = await call.gather(2)
    third = await call.newcomer()
    await _expect_refusal(third, call.room_id, await call.token())
    assert set(await call.participants()) == {anna.id, ben.id}
    for person in (anna, ben):
        assert not person.happened("participant_joined", third.id)
        assert set(await person.roster()) == {anna.id, ben.id}
    await ben.leave()
    await call.eventually("Ben has left in the API", lambda: call.has_left(ben))
    dora = await call.join()
    await anna.wait_for("participant_joined", dora.id)


async def test_racing_joins_fill_the_room_exactly(call: Call) -> None:
    await call.create_room(max_participants=2)
    token = await call.token()
    people = [await call.newcomer() for _ in range(4)]
    for person in people:
        await person.knock(call.room_id, token, messages=False)
    for person in people:
        await person.wait_for_any("connected", "disconnected")
    admitted = {person.id for person in people if person.happened("connected") and not person.happened("disconnected")}
    assert len(admitted) == 2
    assert set(await call.participants()) == admitted


@pytest.mark.parametrize("kind", ["garbage", "tampered", "other room", "refresh token"])
async def test_bad_token_is_refused_at_once(call: Call, kind: str) -> None:
    await call.create_room()
    other_room = await call.rest.rooms.create()
    refresh = await call.rest.rooms.actions.generate_join_client_token(call.room_id)
    assert other_room.data and other_room.data.id and refresh.data and refresh.data.refresh_token
    tokens = {
        "garbage": "not.a.token",
        "tampered": _tampered(await call.token()),
        "other room": await call.token(other_room.data.id),
        "refresh token": refresh.data.refresh_token,
    }
    await _expect_refusal(await call.newcomer(), call.room_id, tokens[kind])
    assert await call.sessions() == []


async def test_unknown_room_is_refused(call: Call) -> None:
    await call.create_room()
    token = await call.token()
    await call.rest.rooms.delete(call.room_id)
    await _expect_refusal(await call.newcomer(), call.room_id, token)


async def test_token_is_refreshed_during_the_call(call: Call) -> None:
    anna, ben = await call.gather(2)
    await anna.update_token(await call.token())
    await anna.send("still here")
    await ben.wait_for("message_received", anna.id)
    assert not anna.happened("disconnected")


async def test_foreign_token_ends_the_call(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    other_room = await call.rest.rooms.create()
    assert other_room.data and other_room.data.id
    anna.start("updateToken", await call.token(other_room.data.id))
    await anna.wait_for("disconnected", within=NOTIFIED_WITHIN_SECS)
    await ben.wait_for("participant_left", anna.id)
    await call.eventually("Anna has left in the API", lambda: call.has_left(anna))


async def test_expired_token_is_refused_at_once(call: Call, expiring: tuple[str, str]) -> None:
    """The last here: what the others do fills the time until the token has expired."""
    call.room_id, token = expiring
    expires_at: int = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["exp"]
    person = await call.newcomer()

    async def expired() -> bool:
        return time.time() > expires_at + 6  # the contract allows a leeway of five seconds

    await call.eventually("the token has expired", expired, within=SHORTEST_TOKEN_SECS + 10)
    await _expect_refusal(person, call.room_id, token)
    assert await call.sessions() == []
