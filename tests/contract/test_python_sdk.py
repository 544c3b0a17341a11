"""The official Python SDK, unmodified, against a real server: rooms, client tokens, sessions and participants."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
import telnyx
from telnyx import Telnyx

from tests.api.serving import Served
from tests.api.world import check_answer
from tests.contract.schemas import Contract, official


class Recorded:
    """The SDK's own HTTP client with ears: which requests went out, and that every answer is as declared."""

    def __init__(self, served: Served) -> None:
        self.requests: list[httpx.Request] = []
        self._contracts = [
            Contract(official(), prefix="/v2", undeclared="video_Errors"),
            Contract(served.world.app.openapi()),
        ]
        self.client = httpx.Client(event_hooks={"request": [self.requests.append], "response": [self._check]})

    def _check(self, response: httpx.Response) -> None:
        check_answer(self._contracts, response.request, response, response.read())


@pytest.fixture
def recorded(served: Served) -> Iterator[Recorded]:
    recorder = Recorded(served)
    with recorder.client:
        yield recorder


@pytest.fixture
def sdk(served: Served, recorded: Recorded) -> Telnyx:
    return Telnyx(api_key=served.world.key, base_url=f"{served.base_url}/v2", http_client=recorded.client)


def test_the_life_of_a_room(sdk: Telnyx) -> None:
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
    sdk.rooms.create(unique_name="once")
    recorded.requests.clear()
    with pytest.raises(telnyx.UnprocessableEntityError):
        sdk.rooms.create(unique_name="once")
    assert len(recorded.requests) == 1


def test_filters_of_rooms(sdk: Telnyx, served: Served) -> None:
    sdk.rooms.create(unique_name="a b")
    today = served.world.clock.current.date()
    found = sdk.rooms.list(filter={"unique_name": "a b", "date_created_at": {"eq": today}}, include_sessions=True)
    assert [room.unique_name for room in found] == ["a b"]
    assert list(sdk.rooms.list(filter={"unique_name": "a"})) == []


def test_client_tokens(sdk: Telnyx) -> None:
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


def test_unknown_ids_and_keys(sdk: Telnyx, served: Served, recorded: Recorded) -> None:
    for retrieve in (sdk.rooms.retrieve, sdk.rooms.sessions.retrieve, sdk.room_participants.retrieve):
        with pytest.raises(telnyx.NotFoundError):
            retrieve(str(uuid4()))
    stranger = Telnyx(api_key="My API Key", base_url=f"{served.base_url}/v2", http_client=recorded.client)
    with pytest.raises(telnyx.AuthenticationError):
        stranger.rooms.list()
