"""The official Python SDK, unmodified, against a real server: every resource of the Video API.

Tests import it themselves: it takes a second in each process that only collects them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from portico.db.engine import Transaction
from portico.services import compositions
from portico.services.participants import Joined
from tests.api.serving import Served
from tests.factories import NOW
from tests.recorded import a_recording

if TYPE_CHECKING:
    from telnyx import AsyncTelnyx, Telnyx
    from telnyx.types import VideoRegionParam


class Recorded:
    """The SDK's own HTTP client, and the requests that it has sent."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.client = httpx.Client(event_hooks={"request": [self.requests.append]})


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorder = Recorded()
    with recorder.client:
        yield recorder


@pytest.fixture
def sdk(served: Served, recorded: Recorded) -> Telnyx:
    from telnyx import Telnyx

    return Telnyx(api_key=served.world.key, base_url=f"{served.base_url}/v2", http_client=recorded.client)


def test_the_life_of_a_room(sdk: Telnyx) -> None:
    import telnyx

    made = sdk.rooms.create(unique_name="SDK", max_participants=4, webhook_timeout_secs=20).data
    assert made is not None and made.id is not None
    assert (made.unique_name, made.max_participants, made.webhook_timeout_secs) == ("SDK", 4, 20)
    found = sdk.rooms.retrieve(made.id, include_sessions=True).data
    assert found is not None and found.sessions == []
    changed = sdk.rooms.update(made.id, enable_recording=True).data
    assert changed is not None and changed.enable_recording is True and changed.unique_name == "SDK"
    sdk.rooms.delete(made.id)
    with pytest.raises(telnyx.NotFoundError) as caught:
        sdk.rooms.retrieve(made.id)
    assert caught.value.body["errors"][0]["code"] == "10005"  # type: ignore[index]


def test_calls_without_arguments(sdk: Telnyx) -> None:
    room = sdk.rooms.create().data
    assert room is not None and room.id is not None
    same = sdk.rooms.update(room.id).data
    assert same is not None and same.updated_at == room.updated_at


def test_45_lists_page_by_themselves(sdk: Telnyx, recorded: Recorded) -> None:
    made = [sdk.rooms.create().data for _ in range(3)]
    recorded.requests.clear()
    listed = [room.id for room in sdk.rooms.list(page_size=1)]
    assert listed == [room.id for room in reversed(made) if room is not None]
    assert len(recorded.requests) == 3


def test_45_a_duplicate_is_not_tried_again(sdk: Telnyx, recorded: Recorded) -> None:
    import telnyx

    sdk.rooms.create(unique_name="once")
    recorded.requests.clear()
    with pytest.raises(telnyx.UnprocessableEntityError):
        sdk.rooms.create(unique_name="once")
    assert len(recorded.requests) == 1


def test_filters_of_rooms(sdk: Telnyx, served: Served) -> None:
    sdk.rooms.create(unique_name="a b")
    today = served.world.clock.now.date()
    found = sdk.rooms.list(filter={"unique_name": "a b", "date_created_at": {"eq": today}}, include_sessions=True)
    assert [room.unique_name for room in found] == ["a b"]
    assert list(sdk.rooms.list(filter={"unique_name": "a"})) == []


def test_client_tokens(sdk: Telnyx) -> None:
    import telnyx

    room = sdk.rooms.create().data
    assert room is not None and room.id is not None
    made = sdk.rooms.actions.generate_join_client_token(room.id, token_ttl_secs=60).data
    assert made is not None and made.token and made.refresh_token and made.refresh_token_expires_at
    fresh = sdk.rooms.actions.refresh_client_token(room.id, refresh_token=made.refresh_token).data
    assert fresh is not None and fresh.token not in (None, made.token)
    with pytest.raises(telnyx.PermissionDeniedError):
        sdk.rooms.actions.refresh_client_token(room.id, refresh_token=made.token or "")


def test_sessions_and_participants(sdk: Telnyx, served: Served) -> None:
    room = sdk.rooms.create().data
    assert room is not None and room.id is not None
    alice = served.run(served.world.join(room.id, '{"name":"Alice"}'))
    bob = served.run(served.world.join(room.id))
    session = sdk.rooms.sessions.retrieve(alice.session_id, include_participants=True).data
    assert session is not None and session.active is True and session.participants is not None
    assert [person.id for person in session.participants] == [bob.participant_id, alice.participant_id]
    everywhere = sdk.rooms.sessions.list_0(filter={"room_id": room.id, "active": True}, page_size=100)
    assert [each.id for each in everywhere] == [alice.session_id]
    of_room = sdk.rooms.sessions.list_1(room.id, include_participants=True, filter={"active": False})
    assert list(of_room) == []
    people = sdk.rooms.sessions.retrieve_participants(alice.session_id, filter={"context": '{"name":"Alice"}'})
    assert [person.id for person in people] == [alice.participant_id]
    of_session = sdk.room_participants.list(filter={"session_id": alice.session_id})
    assert [person.context for person in of_session] == [None, '{"name":"Alice"}']
    person = sdk.room_participants.retrieve(alice.participant_id).data
    assert person is not None and person.left_at is None


def recordings_of(served: Served, room_id: str) -> tuple[Joined, list[str]]:
    """A participant of this room, and the ids of three finished recordings of them, newest first."""
    world = served.world
    person = served.run(world.join(room_id))

    def record(tx: Transaction) -> list[str]:
        return [a_recording(tx, person.participant_id, now=world.clock()) for _ in range(3)]

    return person, served.run(world.db.write(record))[::-1]


def test_recordings(sdk: Telnyx, served: Served, recorded: Recorded) -> None:
    import telnyx

    room = sdk.rooms.create(enable_recording=True).data
    assert room is not None and room.id is not None
    person, made = recordings_of(served, room.id)
    recorded.requests.clear()
    assert [each.id for each in sdk.room_recordings.list(page_size=1)] == made
    assert len(recorded.requests) == 3
    found = sdk.room_recordings.retrieve(made[0]).data
    assert found is not None and found.download_url is not None
    assert (found.type, found.status, found.codec, found.size_mb) == ("video", "completed", "vp8", 5.6)
    assert (found.duration_secs, found.record_type) == (60, "room_recording")
    today = served.world.clock.now.date()
    everything = sdk.room_recordings.list(
        filter={
            "date_started_at": {"gte": today},
            "date_ended_at": {"eq": today},
            "room_id": room.id,
            "session_id": person.session_id,
            "participant_id": person.participant_id,
            "status": "completed",
            "type": "video",
            "duration_secs": 60,
        }
    )
    assert [each.id for each in everything] == made
    assert list(sdk.room_recordings.list(filter={"duration_secs": 61})) == []
    sdk.room_recordings.delete(made[0])
    with pytest.raises(telnyx.NotFoundError):
        sdk.room_recordings.delete(made[0])
    page = sdk.room_recordings.delete_bulk(page_number=1, page_size=1).data
    assert page is not None and page.room_recordings == 1
    rest = sdk.room_recordings.delete_bulk(filter={"session_id": person.session_id}).data
    assert rest is not None and rest.room_recordings == 1
    assert list(sdk.room_recordings.list()) == []


def test_compositions(sdk: Telnyx, served: Served) -> None:
    import telnyx

    room = sdk.rooms.create().data
    assert room is not None and room.id is not None
    person, videos = recordings_of(served, room.id)
    made = sdk.room_compositions.create(
        session_id=person.session_id,
        resolution="800x600",
        format="mp4",
        video_layout={
            "main": {"width": 800, "height": 600, "video_sources": videos},
            "corner": {"x_pos": 600, "y_pos": 400, "z_pos": 1, "video_sources": [videos[0]]},
        },
        webhook_event_url="https://example.com",
        webhook_timeout_secs=20,
        extra_body={"audio_sources": ["*"]},
    ).data
    assert made is not None and made.id is not None and made.video_layout is not None
    assert (made.status, made.resolution, made.record_type) == ("enqueued", "800x600", "room_composition")
    assert made.video_layout["main"].video_sources == videos
    assert (made.video_layout["corner"].width, made.video_layout["corner"].height) == (200, 200)
    found = sdk.room_compositions.retrieve(made.id).data
    assert found is not None and found == made
    today = served.world.clock.now.date()
    filtered = sdk.room_compositions.list(
        filter={"session_id": person.session_id, "status": "enqueued", "date_created_at": {"eq": today}}
    )
    assert [each.id for each in filtered] == [made.id]
    with pytest.raises(telnyx.UnprocessableEntityError) as caught:
        sdk.room_compositions.create()
    assert caught.value.body["errors"][0]["source"] == {"pointer": "/session_id"}  # type: ignore[index]
    sdk.room_compositions.delete(made.id)
    with pytest.raises(telnyx.NotFoundError):
        sdk.room_compositions.retrieve(made.id)


def test_session_actions(sdk: Telnyx, served: Served) -> None:
    import telnyx

    room = sdk.rooms.create().data
    assert room is not None and room.id is not None
    alice = served.run(served.world.join(room.id))
    bob = served.run(served.world.join(room.id))
    actions = sdk.rooms.sessions.actions
    for answer in (
        actions.mute(alice.session_id, participants=[alice.participant_id]),
        actions.unmute(alice.session_id, participants="all", exclude=[bob.participant_id]),
        actions.kick(alice.session_id, participants="all", exclude=[bob.participant_id]),
    ):
        assert answer.data is not None and answer.data.result == "ok"
    people = sdk.rooms.sessions.retrieve_participants(alice.session_id)
    assert [person.left_at is None for person in people] == [True, False]
    ended = actions.end(alice.session_id).data
    assert ended is not None and ended.result == "ok"
    over = sdk.rooms.sessions.retrieve(alice.session_id).data
    assert over is not None and over.active is False
    for act in (actions.kick, actions.mute, actions.unmute):
        with pytest.raises(telnyx.UnprocessableEntityError, match="No private_ip for room"):
            act(alice.session_id, participants="all")
        with pytest.raises(telnyx.UnprocessableEntityError, match="10004"):
            act(alice.session_id)


async def use_rooms(client: AsyncTelnyx) -> None:
    """Rooms and their tokens, asynchronously."""
    import telnyx

    made = (await client.rooms.create(unique_name="async")).data
    assert made is not None and made.id is not None
    assert (await client.rooms.create()).data is not None
    assert [room.unique_name async for room in client.rooms.list(page_size=1)] == [None, "async"]
    found = (await client.rooms.retrieve(made.id, include_sessions=True)).data
    assert found is not None and found.sessions == []
    changed = (await client.rooms.update(made.id, max_participants=3)).data
    assert changed is not None and changed.max_participants == 3
    token = (await client.rooms.actions.generate_join_client_token(made.id)).data
    assert token is not None and token.refresh_token is not None
    fresh = (await client.rooms.actions.refresh_client_token(made.id, refresh_token=token.refresh_token)).data
    assert fresh is not None and fresh.token
    await client.rooms.delete(made.id)
    with pytest.raises(telnyx.NotFoundError):
        await client.rooms.delete(made.id)


async def use_sessions(client: AsyncTelnyx, room_id: str, alice: Joined, bob: Joined) -> None:
    """A session of two, asynchronously."""
    import telnyx

    people, sessions = [bob.participant_id, alice.participant_id], client.rooms.sessions
    session = (await sessions.retrieve(alice.session_id, include_participants=True)).data
    assert session is not None and session.participants is not None
    assert [person.id for person in session.participants] == people
    assert [each.id async for each in sessions.list_0(filter={"active": True})] == [alice.session_id]
    assert [each.active async for each in sessions.list_1(room_id, page_size=1)] == [True, False]
    assert [each.id async for each in sessions.retrieve_participants(alice.session_id, page_size=1)] == people
    of_session = client.room_participants.list(filter={"session_id": alice.session_id}, page_size=1)
    assert [each.id async for each in of_session] == people
    person = (await client.room_participants.retrieve(bob.participant_id)).data
    assert person is not None and person.left_at is None
    for answer in (
        await sessions.actions.mute(alice.session_id, participants="all"),
        await sessions.actions.unmute(alice.session_id, participants="all"),
        await sessions.actions.kick(alice.session_id, participants=[alice.participant_id]),
        await sessions.actions.end(alice.session_id),
    ):
        assert answer.data is not None and answer.data.result == "ok"
    with pytest.raises(telnyx.UnprocessableEntityError):
        await sessions.actions.end(alice.session_id)


async def use_recordings(client: AsyncTelnyx, session_id: str, made: list[str]) -> None:
    """Three recordings and a composition of a session, asynchronously."""
    assert [each.id async for each in client.room_recordings.list(page_size=2)] == made
    found = (await client.room_recordings.retrieve(made[0])).data
    assert found is not None and found.id == made[0]
    asked = (await client.room_compositions.create(session_id=session_id)).data
    assert asked is not None and asked.id is not None and asked.status == "enqueued"
    same = (await client.room_compositions.retrieve(asked.id)).data
    assert same == asked
    assert [each.id async for each in client.room_compositions.list()] == [asked.id]
    await client.room_compositions.delete(asked.id)
    await client.room_recordings.delete(made[0])
    deleted = (await client.room_recordings.delete_bulk()).data
    assert deleted is not None and deleted.room_recordings == 2


def test_every_operation_of_the_asynchronous_client(served: Served) -> None:
    from telnyx import AsyncTelnyx

    world = served.world

    async def call() -> None:
        async with AsyncTelnyx(api_key=world.key, base_url=f"{served.base_url}/v2") as client:
            await use_rooms(client)
            room = (await client.rooms.create()).data
            assert room is not None and room.id is not None
            person, made = await asyncio.to_thread(recordings_of, served, room.id)
            await use_recordings(client, person.session_id, made)
            await asyncio.to_thread(served.run, world.leave(person.participant_id))
            await asyncio.to_thread(served.run, world.end(person.session_id))
            alice = await asyncio.to_thread(served.run, world.join(room.id))
            bob = await asyncio.to_thread(served.run, world.join(room.id))
            await use_sessions(client, room.id, alice, bob)

    asyncio.run(call())


def test_unknown_ids_and_keys(sdk: Telnyx, served: Served, recorded: Recorded) -> None:
    import telnyx
    from telnyx import Telnyx

    for retrieve in (
        sdk.rooms.retrieve,
        sdk.rooms.sessions.retrieve,
        sdk.room_participants.retrieve,
        sdk.room_recordings.retrieve,
        sdk.room_compositions.retrieve,
    ):
        with pytest.raises(telnyx.NotFoundError):
            retrieve(str(uuid4()))
    unauthenticated = Telnyx(api_key="My API Key", base_url=f"{served.base_url}/v2", http_client=recorded.client)
    with pytest.raises(telnyx.AuthenticationError):
        unauthenticated.rooms.list()


def test_in_strict_mode_every_answer_of_a_walk_through_all_operations_is_read(served: Served) -> None:
    """The SDK then refuses what its types do not say: unknown words, wrong types, dates that are none."""
    from telnyx import Telnyx

    world = served.world
    with Telnyx(api_key=world.key, base_url=f"{served.base_url}/v2", _strict_response_validation=True) as sdk:
        walk(sdk, served)


def walk(sdk: Telnyx, served: Served) -> None:
    """Every operation of the Video API, and the log of deliveries."""
    import telnyx

    url = "http://127.0.0.1:9/hook"
    room = sdk.rooms.create(unique_name="strict", enable_recording=True, webhook_event_url=url).data
    assert room is not None and room.id is not None
    assert sdk.rooms.update(room.id, max_participants=50).data and sdk.rooms.retrieve(room.id, include_sessions=True)
    token = sdk.rooms.actions.generate_join_client_token(room.id).data
    assert token is not None and token.refresh_token is not None
    assert sdk.rooms.actions.refresh_client_token(room.id, refresh_token=token.refresh_token).data
    person, made = recordings_of(served, room.id)
    walk_recordings(sdk, served, person.session_id, made)
    walk_sessions(sdk, room.id, person)
    with pytest.raises(telnyx.UnprocessableEntityError):
        sdk.rooms.sessions.actions.end(person.session_id)
    deliveries = list(sdk.webhook_deliveries.list())
    assert {each.webhook.event_type for each in deliveries if each.webhook} >= {"video.room.composition.failed"}
    assert sdk.webhook_deliveries.retrieve(deliveries[0].id or "").data
    assert [each.id for each in sdk.rooms.list(include_sessions=True)] == [room.id]
    sdk.rooms.delete(room.id)


def walk_recordings(sdk: Telnyx, served: Served, session_id: str, made: list[str]) -> None:
    """Recordings, a composition that is completed and one that failed; then all of them are deleted."""
    assert [each.id for each in sdk.room_recordings.list()] == made
    assert sdk.room_recordings.retrieve(made[0]).data
    layout: dict[str, VideoRegionParam] = {"main": {"video_sources": [made[0]]}}
    asked = [
        sdk.room_compositions.create(
            session_id=session_id, video_layout=layout, webhook_event_url="http://127.0.0.1:9/hook"
        ).data
        for _ in range(2)
    ]
    ids = [each.id or "" for each in asked if each is not None]
    served.run(served.world.db.write(lambda tx: compositions.fail(tx, ids[0], "The disk is full.", now=NOW)))
    assert [each.id for each in sdk.room_compositions.list()] == ids[::-1]
    assert [sdk.room_compositions.retrieve(each).data is not None for each in ids] == [True, True]
    for each in ids:
        sdk.room_compositions.delete(each)
    sdk.room_recordings.delete(made[0])
    deleted = sdk.room_recordings.delete_bulk().data
    assert deleted is not None and deleted.room_recordings == 2


def walk_sessions(sdk: Telnyx, room_id: str, person: Joined) -> None:
    """Every read of sessions and participants, and every action, the last of which ends the session."""
    sessions = sdk.rooms.sessions
    assert sessions.retrieve(person.session_id, include_participants=True).data
    assert list(sessions.list_0(include_participants=True)) and list(sessions.list_1(room_id))
    assert list(sessions.retrieve_participants(person.session_id)) and list(sdk.room_participants.list())
    assert sdk.room_participants.retrieve(person.participant_id).data
    for act in (sessions.actions.mute, sessions.actions.unmute, sessions.actions.kick):
        answer = act(person.session_id, participants=[person.participant_id]).data
        assert answer is not None and answer.result == "ok"
    ended = sessions.actions.end(person.session_id).data
    assert ended is not None and ended.result == "ok"
