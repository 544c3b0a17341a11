"""No participant takes the id of another's stream: browsers would show the one in the other's place."""

from dataclasses import astuple

import pytest

from portico.signaling import stream_ids
from portico.signaling.control import MediaRoom
from portico.signaling.stream_ids import StreamIds
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    OTHER_PARTICIPANT,
    STREAM,
    VIDEOROOM,
    Body,
    Conversation,
    participant_display,
    refusal,
    stream_display,
    to_janus,
)


def test_an_id_is_its_first_owners_until_they_leave() -> None:
    ids = StreamIds()
    assert ids.owner("s") is None
    ids.claim("s", "anna")
    ids.claim("s", "anna")
    ids.release("ben")
    assert ids.owner("s") == "anna"
    ids.release("anna")
    assert ids.owner("s") is None
    ids.claim("s", "ben")
    assert ids.owner("s") == "ben"


def test_what_is_remembered_is_bounded_and_displaces_no_others_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_ids, "OF_ONE_MAX", 3)
    ids = StreamIds()
    ids.claim("hers", "anna")
    for number in range(10):
        ids.claim(str(number), "ben")
    assert ids.owner("hers") == "anna"
    assert [ids.owner(str(number)) for number in range(10)] == [None] * 7 + ["ben"] * 3


@pytest.fixture
def anna_and_ben() -> tuple[Conversation, Conversation]:
    """Anna publishes a stream; Ben is in the same room."""
    room = MediaRoom("7d949cff-e29e-4439-9c81-2fab619422a1", 4711, 4712, "secret")
    anna = Conversation(room=room).join()
    ben = Conversation(room=room, streams=anna.streams)
    anna.publisher()
    ben.create()
    register = ben.attach(AUDIOBRIDGE)
    ben.ask(register, {"request": "join", "display": participant_display(OTHER_PARTICIPANT)})
    ben.reply(register, {"audiobridge": "joined", "room": room.video, "id": 12, "participants": []})
    return anna, ben


def publishing(stream_id: str = STREAM) -> Body:
    return {
        "request": "join",
        "ptype": "publisher",
        "display": stream_display(participant_id=OTHER_PARTICIPANT, stream_id=stream_id),
    }


def test_another_participants_stream_cannot_be_published(anna_and_ben: tuple[Conversation, Conversation]) -> None:
    _, ben = anna_and_ben
    assert refusal(ben.ask(ben.attach(VIDEOROOM), publishing())) == 403


@pytest.mark.parametrize(
    ("display", "status"),
    [
        (stream_display(participant_id=OTHER_PARTICIPANT), 403),
        (stream_display("audiobridge", OTHER_PARTICIPANT, stream_id="6a8f0c3e-0d53-4b2c-9d1e-6d6d7a6b1f00"), 403),
        (stream_display("screen", OTHER_PARTICIPANT, stream_id="6a8f0c3e-0d53-4b2c-9d1e-6d6d7a6b1f00"), None),
    ],
)
def test_a_stream_does_not_become_what_it_may_not_be(
    anna_and_ben: tuple[Conversation, Conversation], display: str, status: int | None
) -> None:
    _, ben = anna_and_ben
    handle = ben.attach(VIDEOROOM)
    effects = ben.ask(handle, publishing(stream_id="6a8f0c3e-0d53-4b2c-9d1e-6d6d7a6b1f00"))
    assert len(to_janus(effects)) == 1
    ben.reply(handle, {"videoroom": "joined", "room": ben.room.video, "id": 22, "publishers": []})
    assert refusal(ben.ask(handle, {"request": "configure", "display": display})) == status


def test_a_stream_may_be_published_again_by_its_own(anna_and_ben: tuple[Conversation, Conversation]) -> None:
    anna, _ = anna_and_ben
    anna.publisher()


def test_a_refused_request_claims_no_id(anna_and_ben: tuple[Conversation, Conversation]) -> None:
    _, ben = anna_and_ben
    new_id = "6a8f0c3e-0d53-4b2c-9d1e-6d6d7a6b1f00"
    offer = {"type": "offer", "sdp": "v=0"}
    assert refusal(ben.ask(ben.attach(VIDEOROOM), publishing(new_id), jsep=offer)) == 403  # a join has no offer
    assert ben.streams.owner(new_id) is None


def test_an_id_of_another_participant_cannot_be_claimed() -> None:
    ids = StreamIds()
    ids.claim("s", "anna")
    with pytest.raises(ValueError, match="another owner"):
        ids.claim("s", "ben")
    assert ids.owner("s") == "anna"


def test_a_media_room_holds_only_immutable_values() -> None:
    room = MediaRoom("7d949cff-e29e-4439-9c81-2fab619422a1", 4711, 4712, "secret")
    assert {type(value) for value in astuple(room)} == {str, int}
