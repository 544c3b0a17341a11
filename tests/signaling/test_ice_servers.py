"""ICE servers travel in the answer to `create`; a lost path that the browser reports ends its own connection only."""

from typing import Any

import pytest

from portico.signaling.effects import Close, CloseCode, Effect
from tests.signaling.conversation import ROOM, SESSION, TEXTROOM, Conversation, refusal, to_client, to_janus

OFFER = {"type": "offer", "sdp": "v=0"}
SERVERS = [{"urls": ["turn:a"], "username": "1:x", "credential": "y"}]
LOST = Close(CloseCode.MEDIA_LOST, "The media connection was lost: the browser reports it.")


def answer_to_create(talk: Conversation) -> dict[str, Any]:
    talk.say("create")
    [answer] = to_client(talk.answer(data={"id": SESSION}))
    return answer


def test_the_answer_to_create_has_the_servers() -> None:
    answer = answer_to_create(Conversation(ice_servers=SERVERS))
    assert answer["portico"] == {"ice_servers": SERVERS}
    assert (answer["janus"], answer["data"], answer["transaction"]) == ("success", {"id": SESSION}, "t1")


def test_without_servers_the_list_is_empty() -> None:
    assert answer_to_create(Conversation())["portico"] == {"ice_servers": []}


def test_a_refused_token_receives_none() -> None:
    talk = Conversation(refuse_token=(401, "The token has expired."), ice_servers=SERVERS)
    [answer] = to_client(talk.say("create"))
    assert "portico" not in answer
    effects = talk.say("attach", plugin=TEXTROOM)
    assert refusal(effects) == 401
    assert "portico" not in to_client(effects)[0]


def test_no_later_answer_has_servers() -> None:
    talk = Conversation(ice_servers=SERVERS)
    talk.create()
    talk.say("attach", plugin=TEXTROOM)
    assert all("portico" not in message for message in to_client(talk.answer(data={"id": 7})))
    talk.say("keepalive", client_token="another")
    assert all("portico" not in message for message in to_client(talk.answer("ack")))


def test_renewed_servers_are_sent_until_the_end() -> None:
    talk = Conversation().join()
    assert to_client(talk.dialect.renew_ice(SERVERS)) == [{"portico": {"ice_servers": SERVERS}}]
    talk.say("destroy")
    assert talk.dialect.renew_ice(SERVERS) == []


def with_mixer(*, up: bool = True) -> tuple[Conversation, int]:
    talk = Conversation().join()
    mixer = talk.mixer()
    talk.ask(mixer, {"request": "configure"}, jsep=OFFER)
    if up:
        talk.from_janus(janus="webrtcup", sender=mixer)
    return talk, mixer


def closes(effects: list[Effect]) -> list[Effect]:
    """The Close among these effects, none of which goes to Janus; the report is acknowledged."""
    assert to_janus(effects) == []
    assert [message["janus"] for message in to_client(effects)] == ["ack"]
    return [effect for effect in effects if isinstance(effect, Close)]


def test_a_reported_path_is_lost() -> None:
    talk, mixer = with_mixer()
    assert closes(talk.say("path_lost", handle_id=mixer)) == [LOST]
    assert talk.say("path_lost", handle_id=mixer) == []


def test_no_token_is_needed_in_the_report() -> None:
    talk, mixer = with_mixer()
    report = {"janus": "path_lost", "transaction": "path-lost-1", "handle_id": mixer}
    assert closes(talk.dialect.from_client(report)) == [LOST]


@pytest.mark.parametrize("handle", [None, 0, -1, 4711, "1001", [], {}, True, 2**70])
def test_a_report_about_no_handle_of_this_connection_changes_nothing(handle: object) -> None:
    talk, _ = with_mixer()
    assert closes(talk.say("path_lost", handle_id=handle)) == []


def test_a_report_about_a_path_that_janus_does_not_have_up_changes_nothing() -> None:
    talk, mixer = with_mixer(up=False)
    assert closes(talk.say("path_lost", handle_id=mixer)) == []  # UP_SECS decides
    talk.from_janus(janus="webrtcup", sender=mixer)
    talk.from_janus(janus="hangup", sender=mixer, reason="Close PC")
    assert closes(talk.say("path_lost", handle_id=mixer)) == []


def test_a_report_about_a_stream_that_a_request_is_ending_changes_nothing() -> None:
    talk = Conversation().join()
    camera = talk.publisher()
    talk.ask(camera, {"request": "configure"}, jsep=OFFER)
    talk.from_janus(janus="webrtcup", sender=camera)
    talk.reply(camera, {"videoroom": "event", "configured": "ok"})
    talk.ask(camera, {"request": "unpublish"})
    assert closes(talk.say("path_lost", handle_id=camera)) == []


def test_a_handle_without_media_has_no_path() -> None:
    talk = Conversation().join()
    listener = talk.attach("janus.plugin.videoroom")
    talk.from_janus(janus="webrtcup", sender=listener)
    assert closes(talk.say("path_lost", handle_id=listener)) == []


def test_a_report_before_the_session_exists_is_refused() -> None:
    talk = Conversation(room=ROOM)
    assert refusal(talk.say("path_lost", handle_id=1)) == 401
