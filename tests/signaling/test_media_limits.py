"""What one connection may hold of Janus, and what becomes of media connections that carry nothing."""

from typing import Any

import pytest

from portico.core.tokens import Permissions
from portico.signaling.dialect import PENDING_MAX
from portico.signaling.effects import Close, CloseCode, Effect, ExpectMedia, NoteUnpublished
from portico.signaling.limits import PUBLISHERS_MAX
from portico.signaling.liveness import AGAIN_SECS, PUBLISH_SECS, UP_SECS
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    ROOM,
    STREAM,
    TEXTROOM,
    VIDEOROOM,
    Conversation,
    refusal,
    stream_display,
    to_client,
    to_janus,
)

OFFER = {"type": "offer", "sdp": "v=0"}
ANSWER = {"type": "answer", "sdp": "v=0"}


def publish(talk: Conversation, number: int = 0) -> tuple[int, list[Effect]]:
    """A handle that publishes, and what its offer led to."""
    handle = talk.attach(VIDEOROOM)
    shown = stream_display(key=f"s{number}", stream_id=STREAM[:-4] + f"{number:04x}")
    talk.ask(handle, {"request": "join", "ptype": "publisher", "display": shown})
    talk.reply(handle, {"videoroom": "joined", "room": ROOM.video, "id": 21 + number, "publishers": []})
    return handle, talk.ask(handle, {"request": "configure", "audio": True, "video": True}, jsep=OFFER)


def closes(effects: list[Effect]) -> CloseCode | None:
    return next((effect.code for effect in effects if isinstance(effect, Close)), None)


def answered(
    talk: Conversation, transaction: str, sender: int, content: dict[str, Any], **members: Any
) -> list[Effect]:
    """A plugin answers an earlier request."""
    plugin = "audiobridge" if "audiobridge" in content else "videoroom"
    plugindata = {"plugin": plugin, "data": {plugin: "event", **content}}
    return talk.from_janus(janus="event", transaction=transaction, sender=sender, plugindata=plugindata, **members)


def rejection(effects: list[Effect]) -> str:
    """What the application reads when its promise is rejected."""
    (answer,) = [one for one in to_client(effects) if "jsep" in one]
    text: str = answer["jsep"]["sdp"]
    return text


def test_one_stream_too_many_is_rejected_in_words_and_never_reaches_janus() -> None:
    talk = Conversation().join()
    for number in range(PUBLISHERS_MAX):
        handle, effects = publish(talk, number)
        assert to_janus(effects)[0]["jsep"] == OFFER
        talk.reply(handle, {"videoroom": "event", "configured": "ok", "streams": []}, jsep=ANSWER)
    _, effects = publish(talk, PUBLISHERS_MAX)
    assert to_janus(effects) == [] and refusal(effects) is None
    assert "at most 8 streams" in rejection(effects)
    assert to_client(effects)[-1]["plugindata"]["data"]["configured"] == "ok"
    talk.say("detach", handle_id=handle)
    _, effects = publish(talk, PUBLISHERS_MAX + 1)
    assert to_janus(effects)[0]["jsep"] == OFFER


def test_a_stream_that_is_there_may_be_renegotiated_at_the_limit() -> None:
    talk = Conversation().join()
    handles = [publish(talk, number)[0] for number in range(PUBLISHERS_MAX)]
    talk.reply(handles[-1], {"videoroom": "event", "configured": "ok", "streams": []}, jsep=ANSWER)
    effects = talk.ask(handles[-1], {"request": "configure"}, jsep=OFFER)
    assert to_janus(effects)[0]["jsep"] == OFFER


def test_subscriptions_are_twice_the_seats_of_the_room() -> None:
    talk = Conversation(max_participants=3).join()
    for feed in range(6):
        handle = talk.subscriber(feed + 1)
        talk.reply(handle, {"videoroom": "attached", "room": ROOM.video, "id": feed + 1}, jsep=OFFER)
    handle = talk.attach(VIDEOROOM)
    effects = talk.ask(handle, {"request": "join", "ptype": "subscriber", "feed": 7})
    assert "at most 6 subscriptions" in rejection(effects)
    assert [one["janus"] for one in to_janus(effects)] == ["detach"]
    assert refusal(effects) is None


@pytest.mark.parametrize("arrived", [True, False])
def test_a_stream_of_which_nothing_comes_is_unpublished(arrived: bool) -> None:
    talk = Conversation().join()
    handle, effects = publish(talk)
    assert ExpectMedia(handle, PUBLISH_SECS) in effects
    talk.reply(handle, {"videoroom": "event", "configured": "ok", "streams": [{"mid": "0", "type": "audio"}]})
    talk.from_janus(janus="webrtcup", sender=handle)
    if arrived:
        talk.from_janus(janus="media", sender=handle, mid="0", type="audio", receiving=True)
        talk.from_janus(janus="media", sender=handle, mid="0", type="audio", receiving=False)  # silence is not loss
    effects = talk.dialect.media_due(handle)
    assert [one["janus"] for one in to_janus(effects)] == ([] if arrived else ["hangup"])
    assert closes(effects) is None
    if not arrived:
        assert NoteUnpublished(handle) in talk.from_janus(janus="hangup", sender=handle, reason="Janus API")


def text(talk: Conversation) -> tuple[int, dict[str, Any], dict[str, str]]:
    handle = talk.attach(TEXTROOM)
    talk.ask(handle, {"request": "setup"})
    talk.reply(handle, {"textroom": "event", "result": "ok"}, jsep=OFFER)
    return handle, {"request": "ack"}, ANSWER


def subscriber(talk: Conversation) -> tuple[int, dict[str, Any], dict[str, str]]:
    handle = talk.subscriber()
    talk.reply(handle, {"videoroom": "attached", "room": ROOM.video, "id": 77}, jsep=OFFER)
    return handle, {"request": "start"}, ANSWER


def mixer(talk: Conversation) -> tuple[int, dict[str, Any], dict[str, str]]:
    return talk.mixer(), {"request": "configure"}, OFFER


@pytest.mark.parametrize("role", [text, subscriber, mixer])
@pytest.mark.parametrize("up", [True, False])
def test_a_connection_whose_media_never_comes_about_ends(role: Any, up: bool) -> None:
    talk = Conversation().join()
    handle, body, jsep = role(talk)
    assert ExpectMedia(handle, UP_SECS) in talk.ask(handle, body, jsep=jsep)
    if up:
        talk.from_janus(janus="webrtcup", sender=handle)
    assert closes(talk.dialect.media_due(handle)) is (None if up else CloseCode.MEDIA_LOST)


@pytest.mark.parametrize("role", [text, subscriber, mixer])
@pytest.mark.parametrize(("reason", "ends"), [("ICE failed", True), ("DTLS alert", False), ("Close PC", False)])
def test_a_path_that_is_lost_ends_the_connection_whatever_it_carried(role: Any, reason: str, ends: bool) -> None:
    talk = Conversation().join()
    handle, body, jsep = role(talk)
    talk.ask(handle, body, jsep=jsep)
    talk.from_janus(janus="webrtcup", sender=handle)
    effects = talk.from_janus(janus="hangup", sender=handle, reason=reason)
    assert closes(effects) is (CloseCode.MEDIA_LOST if ends else None)
    if not ends:
        assert talk.dialect.media_due(handle) == []  # it was closed, so nothing is expected of it


@pytest.mark.parametrize("role", [subscriber, mixer, text])
def test_data_channels_are_for_the_text_room(role: Any) -> None:
    talk = Conversation().join()
    handle, body, jsep = role(talk)
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    assert refusal(talk.ask(handle, body, jsep={**jsep, "sdp": sdp})) == (None if role is text else 403)


def test_a_hangup_of_the_browser_never_reaches_janus() -> None:
    """One that raced with a negotiation crashed Janus 1.1.2; no SDK sends any."""
    talk = Conversation().join()
    handle, _ = publish(talk)
    effects = talk.say("hangup", handle_id=handle)
    assert to_janus(effects) == []
    assert [one["janus"] for one in to_client(effects)] == ["success"]


def test_a_second_offer_before_the_answer_is_refused() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    assert refusal(talk.ask(handle, {"request": "configure"}, jsep=OFFER)) == 400


def test_a_detach_waits_until_janus_has_answered_the_join() -> None:
    """A member that joins while its handle goes stays in Janus' room after its memory is freed, and crashes Janus."""
    talk = Conversation().join()
    handle = talk.attach(AUDIOBRIDGE)
    talk.ask(handle, {"request": "join", "display": stream_display("audiobridge")})
    joining = talk.newest
    assert talk.say("detach", handle_id=handle) == []
    assert talk.say("detach", handle_id=handle) == []
    effects = answered(talk, joining, handle, {"audiobridge": "joined", "room": ROOM.video, "id": 12})
    assert [one["janus"] for one in to_janus(effects)] == ["detach"]
    assert [one["janus"] for one in to_client(effects)] == ["event", "success"]


def test_requests_of_one_handle_reach_janus_one_at_a_time_and_in_order() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    offered = talk.newest
    waiting = [to_janus(talk.ask(handle, {"request": "configure", "bitrate": rate})) for rate in (1000, 2000)]
    assert waiting == [[], []]
    (first,) = to_janus(answered(talk, offered, handle, {"configured": "ok", "streams": []}, jsep=ANSWER))
    assert first["body"]["bitrate"] == 1000
    (second,) = to_janus(answered(talk, first["transaction"], handle, {"configured": "ok"}))
    assert second["body"]["bitrate"] == 2000


def test_a_trickle_does_not_wait() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    (sent,) = to_janus(talk.say("trickle", handle_id=handle, candidate={"completed": True}))
    assert sent["janus"] == "trickle"


def test_an_offer_after_unpublish_waits_for_the_end_of_the_first() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    talk.reply(handle, {"videoroom": "event", "configured": "ok", "streams": []}, jsep=ANSWER)
    talk.ask(handle, {"request": "unpublish"})
    talk.reply(handle, {"videoroom": "event", "unpublished": "ok"})
    assert talk.ask(handle, {"request": "configure"}, jsep=OFFER) == []
    effects = talk.from_janus(janus="hangup", sender=handle, reason="Close PC")
    assert [one["jsep"] for one in to_janus(effects)] == [OFFER]


def test_what_waits_is_bounded_with_what_janus_has_not_answered() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    while (effects := talk.ask(handle, {"request": "configure"})) == []:
        assert len(talk.dialect._state.wire.pending) <= PENDING_MAX
    assert refusal(effects) == 429


def test_a_publisher_is_not_hung_up_while_janus_takes_in_its_offer() -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    assert talk.dialect.media_due(handle) == [ExpectMedia(handle, AGAIN_SECS)]


def test_the_end_waits_for_what_janus_takes_in() -> None:
    talk = Conversation().join()
    assert not talk.dialect.awaits_plugin
    handle, _ = publish(talk)
    offered = talk.newest
    assert closes(talk.say("destroy")) is CloseCode.GOODBYE
    assert talk.dialect.awaits_plugin
    talk.from_janus(janus="ack", transaction=offered)
    assert talk.dialect.awaits_plugin
    answered(talk, offered, handle, {"configured": "ok"})
    assert not talk.dialect.awaits_plugin


def test_without_publishing_there_is_still_a_mixer_to_watch() -> None:
    talk = Conversation(permissions=Permissions(can_publish=False)).join()
    handle, body, jsep = mixer(talk)
    assert ExpectMedia(handle, UP_SECS) in talk.ask(handle, body, jsep=jsep)


NO_PORT_ANSWER = {"code": 490, "reason": "Error setting ICE locally"}


@pytest.mark.parametrize("hangup_first", [True, False])
def test_a_stream_without_a_port_is_rejected_in_words_and_the_call_goes_on(hangup_first: bool) -> None:
    talk = Conversation().join()
    handle, _ = publish(talk)
    hangup = talk.from_janus(janus="hangup", sender=handle, reason="Gathering error") if hangup_first else []
    error = talk.from_janus(janus="error", transaction=talk.newest, error=NO_PORT_ANSWER)
    hangup = hangup or talk.from_janus(janus="hangup", sender=handle, reason="Gathering error")
    assert closes(hangup) is None and closes(error) is None
    assert "no port is left" in rejection(error)
    assert to_client(error)[-1]["plugindata"]["data"]["configured"] == "ok"
    assert talk.dialect.media_due(handle) == []
    assert to_janus(talk.ask(handle, {"request": "configure"}, jsep=OFFER))[0]["jsep"] == OFFER, "it may be tried again"


def test_a_subscription_without_a_port_is_rejected_in_words_and_the_call_goes_on() -> None:
    talk = Conversation().join()
    handle = talk.subscriber()
    talk.answer("ack")
    effects = talk.from_janus(janus="hangup", sender=handle, reason="Gathering error")
    assert "no port is left" in rejection(effects) and closes(effects) is None
    assert [one["janus"] for one in to_janus(effects)] == ["detach"]
    assert closes(talk.from_janus(janus="hangup", sender=handle, reason="Gathering error")) is None


def test_a_mixer_or_a_data_channel_without_a_port_ends_the_connection_in_words() -> None:
    for plugin in (AUDIOBRIDGE, TEXTROOM):
        talk = Conversation().join()
        if plugin == AUDIOBRIDGE:
            talk.ask(talk.mixer(), {"request": "configure"}, jsep=OFFER)
            effects = talk.answer("error", error=NO_PORT_ANSWER)
        else:
            handle = talk.attach(TEXTROOM)
            talk.ask(handle, {"request": "setup", "room": ROOM.room_id})
            effects = talk.from_janus(janus="hangup", sender=handle, reason="Gathering error")
        answer = to_client(effects)[-1]
        assert answer["status_code"] == 503 and "no port is left" in answer["error_message"]
        assert closes(effects) == CloseCode.UNAVAILABLE
