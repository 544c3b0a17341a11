"""What one connection may hold of Janus, and what becomes of media connections that carry nothing."""

from typing import Any

import pytest

from portico.core.tokens import Permissions
from portico.signaling.effects import Close, CloseCode, Effect, ExpectMedia, Unpublished
from portico.signaling.limits import PUBLISHERS_MAX
from portico.signaling.liveness import PUBLISH_SECS, UP_SECS
from tests.signaling.conversation import (
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


def rejection(effects: list[Effect]) -> str:
    """What the application reads when its promise is rejected."""
    (told,) = [one for one in to_client(effects) if "jsep" in one]
    text: str = told["jsep"]["sdp"]
    return text


def test_one_stream_too_many_is_rejected_in_words_and_never_reaches_janus() -> None:
    talk = Conversation().join()
    for number in range(PUBLISHERS_MAX):
        handle, effects = publish(talk, number)
        assert to_janus(effects)[0]["jsep"] == OFFER
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


@pytest.mark.parametrize("came", [True, False])
def test_a_stream_of_which_nothing_comes_is_unpublished(came: bool) -> None:
    talk = Conversation().join()
    handle, effects = publish(talk)
    assert ExpectMedia(handle, PUBLISH_SECS) in effects
    talk.reply(handle, {"videoroom": "event", "configured": "ok", "streams": [{"mid": "0", "type": "audio"}]})
    talk.hear(janus="webrtcup", sender=handle)
    if came:
        talk.hear(janus="media", sender=handle, mid="0", type="audio", receiving=True)
        talk.hear(janus="media", sender=handle, mid="0", type="audio", receiving=False)  # silence is not loss
    effects = talk.dialect.media_due(handle)
    assert [one["janus"] for one in to_janus(effects)] == ([] if came else ["hangup"])
    assert closes(effects) is None
    if not came:
        assert Unpublished(handle) in talk.hear(janus="hangup", sender=handle, reason="Janus API")


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
        talk.hear(janus="webrtcup", sender=handle)
    assert closes(talk.dialect.media_due(handle)) is (None if up else CloseCode.MEDIA_LOST)


@pytest.mark.parametrize("role", [text, subscriber, mixer])
@pytest.mark.parametrize(("reason", "ends"), [("ICE failed", True), ("DTLS alert", False), ("Close PC", False)])
def test_a_path_that_is_lost_ends_the_connection_whatever_it_carried(role: Any, reason: str, ends: bool) -> None:
    talk = Conversation().join()
    handle, body, jsep = role(talk)
    talk.ask(handle, body, jsep=jsep)
    talk.hear(janus="webrtcup", sender=handle)
    effects = talk.hear(janus="hangup", sender=handle, reason=reason)
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


def test_without_publishing_there_is_still_a_mixer_to_watch() -> None:
    talk = Conversation(permissions=Permissions(can_publish=False)).join()
    handle, body, jsep = mixer(talk)
    assert ExpectMedia(handle, UP_SECS) in talk.ask(handle, body, jsep=jsep)
