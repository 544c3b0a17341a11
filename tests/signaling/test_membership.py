"""Who may be in the TextRoom, and that no participant stays unlisted: what the dialect decides."""

import pytest

from portico.core.tokens import Permissions
from portico.signaling.dialect import UNSEEN_SECS
from portico.signaling.effects import Close, CloseCode, ExpectJoin, Expel, ToClient
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    OTHER_PARTICIPANT,
    PARTICIPANT,
    ROOM,
    TEXTROOM,
    VIDEOROOM,
    Conversation,
    listener_display,
    participant_display,
    refusal,
    to_client,
    to_janus,
)


def text_first() -> Conversation:
    """A browser with a data channel that has not announced its participant yet, as the SDK begins."""
    conversation = Conversation()
    conversation.create()
    text = conversation.attach(TEXTROOM)
    conversation.ask(text, {"request": "setup", "room": ROOM.room_id})
    conversation.reply(text, {"textroom": "event", "result": "ok"})
    return conversation


def announce(conversation: Conversation, participant_id: str = PARTICIPANT) -> list[object]:
    register = conversation.attach(AUDIOBRIDGE)
    body = {"request": "join", "display": participant_display(participant_id), "muted": True}
    return list(conversation.ask(register, body))


def test_a_participant_joins_its_own_text_room_under_its_own_name() -> None:
    conversation = Conversation().join()
    assert conversation.dialect.text_name == PARTICIPANT
    assert conversation.dialect.text_joined(ROOM.text, PARTICIPANT) == []


@pytest.mark.parametrize(("room", "name"), [(ROOM.text + 1, PARTICIPANT), (ROOM.text, OTHER_PARTICIPANT)])
def test_another_room_or_another_name_is_undone_and_ends_the_connection(room: int, name: str) -> None:
    conversation = Conversation().join()
    expel, close = conversation.dialect.text_joined(room, name)
    assert expel == Expel(room, name)
    assert isinstance(close, Close) and close.at_once and close.code is CloseCode.REFUSED
    assert conversation.dialect.text_name is None
    assert conversation.dialect.text_joined(room, name) == [Expel(room, name)]  # as often as it tries


def test_without_permission_the_own_room_is_another_room() -> None:
    conversation = Conversation(permissions=Permissions(can_send_messages=False)).join()
    assert conversation.dialect.text_joined(ROOM.text, PARTICIPANT)[0] == Expel(ROOM.text, PARTICIPANT)


def test_who_is_in_the_text_room_first_has_a_deadline_to_join() -> None:
    conversation = text_first()
    assert conversation.dialect.may_yet_join
    assert conversation.dialect.text_joined(ROOM.text, PARTICIPANT) == [ExpectJoin(UNSEEN_SECS)]
    announce(conversation)
    assert conversation.dialect.participant_id == PARTICIPANT
    assert not conversation.dialect.may_yet_join


def test_the_participant_has_to_be_the_one_in_the_text_room() -> None:
    conversation = text_first()
    conversation.dialect.text_joined(ROOM.text, OTHER_PARTICIPANT)
    assert refusal(announce(conversation)) == 403  # type: ignore[arg-type]
    assert conversation.admitted == []


def test_a_second_name_is_undone_also_before_the_participant_joins() -> None:
    conversation = text_first()
    conversation.dialect.text_joined(ROOM.text, PARTICIPANT)
    assert conversation.dialect.text_joined(ROOM.text, OTHER_PARTICIPANT)[0] == Expel(ROOM.text, OTHER_PARTICIPANT)


def test_who_is_kicked_has_no_name_in_the_text_room() -> None:
    conversation = Conversation().join()
    conversation.dialect.kick()
    assert conversation.dialect.text_name is None


def test_every_handle_is_marked_with_its_connection_whatever_the_browser_says() -> None:
    conversation = Conversation()
    conversation.dialect._state.owner = "c0ffee"
    conversation.create()
    (attach,) = to_janus(conversation.say("attach", plugin=TEXTROOM, opaque_id="forged"))
    assert attach["opaque_id"] == "c0ffee"


@pytest.mark.parametrize("role", ["register", "listener", "none yet"])
@pytest.mark.parametrize("kind", ["hangup", "trickle"])
def test_what_has_no_media_is_not_hung_up(kind: str, role: str) -> None:
    conversation = Conversation().join()
    handle = 1001
    if role != "register":
        handle = conversation.attach(VIDEOROOM)
    if role == "listener":
        body = {"request": "join", "ptype": "publisher", "display": listener_display()}
        conversation.ask(handle, body)
    effects = conversation.say(kind, handle_id=handle, candidate={"completed": True})
    assert [one["janus"] for one in to_client(effects)] == ["success" if kind == "hangup" else "ack"]
    assert to_janus(effects) == []


def test_a_register_that_janus_does_not_list_ends_the_connection() -> None:
    conversation = Conversation().join()
    assert conversation.dialect.register_id == 11
    assert conversation.dialect.bridge_left(12) == []
    (close,) = conversation.dialect.bridge_left(11)
    assert isinstance(close, Close) and close.code is CloseCode.MEDIA_LOST


def test_a_register_that_janus_detaches_ends_the_connection() -> None:
    conversation = Conversation().join()
    event, close = conversation.from_janus(janus="detached", sender=1001)
    assert isinstance(event, ToClient)
    assert isinstance(close, Close) and close.code is CloseCode.MEDIA_LOST


def test_a_connection_has_one_data_channel_at_a_time() -> None:
    conversation = text_first()
    second = conversation.attach(TEXTROOM)
    assert refusal(conversation.ask(second, {"request": "setup"})) == 403
