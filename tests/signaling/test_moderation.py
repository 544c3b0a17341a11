"""What the API does to a participant, as orders to Janus: complete, in time, and whatever is on its way."""

from typing import Any

import pytest

from portico.signaling.effects import Close, CloseCode, Effect, LogWarning, ToClient, ToJanus
from portico.signaling.wire import OWN_PREFIX
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    ROOM,
    SESSION,
    TEXTROOM,
    VIDEOROOM,
    Conversation,
    participant_display,
    stream_display,
    to_client,
    to_janus,
)

OFFER = {"type": "offer", "sdp": "v=0\r\n"}
ANSWER = {"type": "answer", "sdp": "v=0\r\n"}
FEED, MIXER_ID, REGISTER_ID = 21, 12, 11
AUDIO, VIDEO = {"type": "audio", "mid": "0"}, {"type": "video", "mid": "1"}
CONFIGURED = {"videoroom": "event", "configured": "ok"}
Body = dict[str, Any]


def own(effects: list[Effect]) -> list[tuple[int, Body]]:
    """Requests of our own: on which handle, and the body."""
    return [(each["handle_id"], each["body"]) for each in to_janus(effects) if each["transaction"][:8] == OWN_PREFIX]


def moderate(handle: int, *, mute: bool = True, mid: str = "0", feed: int = FEED) -> tuple[int, Body]:
    return handle, _ordered({"request": "moderate", "id": feed, "mid": mid, "mute": mute})


def mixed(handle: int, *, mute: bool = True) -> tuple[int, Body]:
    return handle, _ordered({"request": "mute" if mute else "unmute", "id": MIXER_ID})


def _ordered(body: Body) -> Body:
    return {**body, "room": ROOM.video, "secret": ROOM.secret}


def joined() -> Conversation:
    return Conversation().join()


def on_air(talk: Conversation, *tracks: dict[str, str]) -> int:
    """A stream that is published and connected, with these tracks."""
    handle = talk.publisher()
    configure(talk, handle, *tracks)
    talk.from_janus(janus="webrtcup", sender=handle)
    return handle


def configure(talk: Conversation, handle: int, *tracks: dict[str, str]) -> list[Effect]:
    """The browser offers media and Janus answers: what follows from the answer."""
    talk.ask(handle, {"request": "configure", "audio": True, "display": stream_display()}, jsep=OFFER)
    return talk.reply(handle, {**CONFIGURED, "streams": list(tracks or (AUDIO, VIDEO))}, jsep=ANSWER)


class TestMuting:
    def test_whatever_sounds_is_muted_and_nothing_else(self) -> None:
        talk = joined()
        mixer, camera = talk.mixer(), on_air(talk, AUDIO, VIDEO)
        assert own(talk.dialect.mute(True)) == [moderate(camera), mixed(mixer)]
        assert own(talk.dialect.mute(False)) == [moderate(camera, mute=False), mixed(mixer, mute=False)]

    def test_every_stream_and_every_track_that_sounds(self) -> None:
        talk = joined()
        streams = [on_air(talk, AUDIO, {"type": "audio", "mid": "7"}), on_air(talk, VIDEO), on_air(talk, VIDEO, AUDIO)]
        expected = [moderate(streams[0]), moderate(streams[0], mid="7"), moderate(streams[2])]
        assert own(talk.dialect.mute(True)) == expected

    @pytest.mark.parametrize("muted", [True, False])
    def test_what_is_so_already_is_not_ordered_again(self, muted: bool) -> None:
        talk = joined()
        talk.mixer()
        talk.dialect.mute(muted)
        assert talk.dialect.mute(muted) == []

    def test_only_janus_receives_it_from_us(self) -> None:
        talk = joined()
        talk.mixer()
        on_air(talk)
        effects = talk.dialect.mute(True)
        assert effects and all(isinstance(effect, ToJanus) for effect in effects)

    def test_the_answers_to_our_orders_are_not_the_browsers(self) -> None:
        talk = joined()
        talk.mixer()
        (request,) = to_janus(talk.dialect.mute(True))
        answer = {
            "janus": "success",
            "sender": request["handle_id"],
            "plugindata": {"data": {"audiobridge": "success"}},
        }
        assert talk.from_janus(transaction=request["transaction"], **answer) == []

    def test_a_request_that_janus_refuses_is_logged_and_ends_nothing(self) -> None:
        talk = joined()
        talk.mixer()
        (request,) = to_janus(talk.dialect.mute(True))
        refused = {"audiobridge": "event", "error_code": 487, "error": "no such user"}
        (warning,) = talk.from_janus(janus="success", transaction=request["transaction"], plugindata={"data": refused})
        assert isinstance(warning, LogWarning)
        assert "no such user" in warning.text

    def test_before_a_mixer_has_joined_it_is_only_remembered(self) -> None:
        talk = Conversation()
        assert talk.dialect.mute(True) == []
        talk.join()
        assert talk.dialect.mute(True) == []
        handle = talk.attach(AUDIOBRIDGE)
        body = {"request": "join", "display": stream_display("audiobridge"), "muted": False}
        (sent,) = to_janus(talk.ask(handle, body))
        assert sent["body"]["muted"] is True


class TestTheMix:
    @pytest.mark.parametrize("wanted", [False, None])
    def test_no_request_of_the_browser_brings_the_sound_back(self, wanted: bool | None) -> None:
        talk = joined()
        mixer = talk.mixer()
        talk.dialect.mute(True)
        body = {"request": "configure"} if wanted is None else {"request": "configure", "muted": wanted}
        (sent,) = to_janus(talk.ask(mixer, body))
        assert sent["body"].get("muted", True) is True
        assert own(talk.reply(mixer, {"audiobridge": "event", "result": "ok"})) == [mixed(mixer)]

    @pytest.mark.parametrize("request_", ["join", "configure"])
    def test_muted_while_a_request_is_on_its_way(self, request_: str) -> None:
        """Janus takes ours first, and then the browser's, which was sent while no participant was muted."""
        talk = joined()
        mixer = talk.attach(AUDIOBRIDGE) if request_ == "join" else talk.mixer()
        display = stream_display("audiobridge")
        (sent,) = to_janus(talk.ask(mixer, {"request": request_, "display": display, "muted": False}))
        assert sent["body"]["muted"] is False
        assert own(talk.dialect.mute(True)) == ([] if request_ == "join" else [mixed(mixer)])
        content = {"audiobridge": "joined", "room": ROOM.video, "id": MIXER_ID, "participants": []}
        answer = content if request_ == "join" else {"audiobridge": "event", "result": "ok"}
        assert own(talk.reply(mixer, answer)) == [mixed(mixer)]

    def test_unmuted_while_a_request_is_on_its_way_that_went_out_muted(self) -> None:
        talk = joined()
        mixer = talk.mixer()
        talk.dialect.mute(True)
        (sent,) = to_janus(talk.ask(mixer, {"request": "configure", "muted": False}))
        assert sent["body"]["muted"] is True
        assert own(talk.dialect.mute(False)) == [mixed(mixer, mute=False)]
        assert own(talk.reply(mixer, {"audiobridge": "event", "result": "ok"})) == [mixed(mixer, mute=False)]

    def test_unmuting_turns_on_no_microphone_that_is_off(self) -> None:
        talk = joined()
        mixer = talk.mixer()
        talk.dialect.mute(True)
        talk.ask(mixer, {"request": "configure", "muted": True})
        talk.reply(mixer, {"audiobridge": "event", "result": "ok"})
        assert own(talk.dialect.mute(False)) == [mixed(mixer, mute=True)]

    def test_a_mixer_that_is_gone_is_not_muted(self) -> None:
        talk = joined()
        mixer = talk.mixer()
        talk.say("detach", handle_id=mixer)
        assert talk.dialect.mute(True) == []
        again = talk.attach(AUDIOBRIDGE)
        body = {"request": "join", "display": stream_display("audiobridge"), "muted": False}
        (sent,) = to_janus(talk.ask(again, body))
        assert sent["body"]["muted"] is True

    def test_where_no_participant_was_ever_muted_nothing_is_requested(self) -> None:
        talk = joined()
        mixer = talk.mixer()
        talk.ask(mixer, {"request": "configure", "muted": False})
        assert own(talk.reply(mixer, {"audiobridge": "event", "result": "ok"})) == []


class TestStreams:
    def test_a_later_stream_is_muted_before_the_browser_can_send_and_again_when_the_others_know_of_it(self) -> None:
        talk = joined()
        talk.dialect.mute(True)
        handle = talk.publisher()
        answered = configure(talk, handle)
        assert own(answered) == [moderate(handle)]
        request, answer = answered.index(to_effect(answered, ToJanus)), answered.index(to_effect(answered, ToClient))
        assert request < answer
        assert own(talk.from_janus(janus="webrtcup", sender=handle)) == [moderate(handle)]

    def test_muted_while_the_offer_is_on_its_way(self) -> None:
        talk = joined()
        handle = talk.publisher()
        talk.ask(handle, {"request": "configure", "audio": True, "display": stream_display()}, jsep=OFFER)
        assert own(talk.dialect.mute(True)) == []
        answered = talk.reply(handle, {**CONFIGURED, "streams": [AUDIO]}, jsep=ANSWER)
        assert own(answered) == [moderate(handle)]

    def test_muted_before_the_others_know_of_the_stream(self) -> None:
        talk = joined()
        handle = talk.publisher()
        configure(talk, handle)
        assert own(talk.dialect.mute(True)) == [moderate(handle)]
        assert own(talk.from_janus(janus="webrtcup", sender=handle)) == [moderate(handle)]

    def test_unmuted_before_the_others_know_of_the_stream(self) -> None:
        talk = joined()
        talk.dialect.mute(True)
        handle = talk.publisher()
        configure(talk, handle)
        assert own(talk.dialect.mute(False)) == [moderate(handle, mute=False)]
        assert own(talk.from_janus(janus="webrtcup", sender=handle)) == []

    def test_a_change_of_the_display_mutes_nothing_again(self) -> None:
        """Janus reports it to all participants each time, and the SDK would fire an event each time."""
        talk = joined()
        handle = on_air(talk)
        talk.dialect.mute(True)
        talk.ask(handle, {"request": "configure", "display": stream_display(video=False)})
        assert own(talk.reply(handle, CONFIGURED)) == []

    def test_a_track_that_is_added_is_muted_too(self) -> None:
        talk = joined()
        handle = on_air(talk, AUDIO)
        talk.dialect.mute(True)
        added = configure(talk, handle, AUDIO, VIDEO, {"type": "audio", "mid": "2"})
        assert own(added) == [moderate(handle), moderate(handle, mid="2")]

    @pytest.mark.parametrize("ending", ["hangup", "hung up by Janus", "unpublish"])
    def test_a_stream_that_comes_again_on_the_same_handle_is_muted_again(self, ending: str) -> None:
        talk = joined()
        handle = on_air(talk)
        talk.dialect.mute(True)
        match ending:
            case "hangup":
                talk.say("hangup", handle_id=handle)
                talk.answer()
                talk.from_janus(janus="hangup", sender=handle, reason="Close PC")
            case "hung up by Janus":
                talk.from_janus(janus="hangup", sender=handle, reason="DTLS alert")
            case "unpublish":
                talk.ask(handle, {"request": "unpublish"})
                talk.reply(handle, {"videoroom": "event", "unpublished": "ok"})
                talk.from_janus(janus="hangup", sender=handle, reason="Close PC")
        assert own(configure(talk, handle)) == [moderate(handle)]
        assert own(talk.from_janus(janus="webrtcup", sender=handle)) == [moderate(handle)]

    def test_the_late_end_of_the_first_hides_the_second_from_no_mute(self) -> None:
        talk = joined()
        handle = on_air(talk)
        talk.say("hangup", handle_id=handle)
        configure(talk, handle)
        talk.from_janus(janus="hangup", sender=handle, reason="Close PC")
        assert own(talk.dialect.mute(True)) == [moderate(handle)]

    @pytest.mark.parametrize("by", ["browser", "Janus"])
    def test_a_handle_that_is_gone_is_not_muted_and_the_next_is(self, by: str) -> None:
        talk = joined()
        handle = on_air(talk)
        if by == "browser":
            talk.say("detach", handle_id=handle)
        else:
            talk.from_janus(janus="detached", sender=handle)
        assert talk.dialect.mute(True) == []
        assert own(configure(talk, again := talk.publisher())) == [moderate(again)]

    def test_moderation_of_a_stream_that_was_not_announced_is_not_sent(self) -> None:
        """The SDK knows tracks by their kind only; it receives it again once the stream is announced."""
        talk = joined()
        muted = {"videoroom": "event", "id": 9, "mid": "0", "moderation": "muted"}
        assert talk.announce(1001, muted) == []
        talk.announce(1001, {"videoroom": "event", "publishers": [{"id": 9, "streams": [AUDIO, VIDEO]}]})
        (received,) = to_client(talk.announce(1001, muted))
        assert received["plugindata"]["data"]["audio-moderation"] == "muted"

    def test_the_muted_browser_receives_each_mute_once(self) -> None:
        talk = joined()
        talk.dialect.mute(True)
        configure(talk, handle := talk.publisher())
        muted = {"videoroom": "event", "id": FEED, "mid": "0", "moderation": "muted"}
        assert talk.announce(1001, dict(muted)) == []
        talk.from_janus(janus="webrtcup", sender=handle)
        (received,) = to_client(talk.announce(1001, dict(muted)))
        assert received["plugindata"]["data"]["audio-moderation"] == "muted"


def to_effect(effects: list[Effect], kind: type) -> Effect:
    return next(effect for effect in effects if isinstance(effect, kind))


class TestKicking:
    def test_janus_reports_it_to_all(self) -> None:
        kick = {"request": "kick", "room": ROOM.video, "id": REGISTER_ID, "secret": ROOM.secret}
        assert own(joined().dialect.kick()) == [(1001, kick)]

    def test_the_kicked_browser_receives_it_from_janus_and_may_leave(self) -> None:
        talk = joined()
        talk.dialect.kick()
        (received,) = to_client(
            talk.announce(1001, {"audiobridge": "event", "room": ROOM.video, "kicked": REGISTER_ID})
        )
        assert received["plugindata"]["data"] == {"audiobridge": "event", "room": ROOM.room_id, "kicked": REGISTER_ID}
        assert Close(CloseCode.GOODBYE, "goodbye") in talk.say("destroy")
        assert talk.dialect.left_by_request

    @pytest.mark.parametrize(
        ("plugin", "body"),
        [
            (AUDIOBRIDGE, {"request": "join", "display": stream_display("audiobridge")}),
            (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": stream_display()}),
            (VIDEOROOM, {"request": "join", "ptype": "subscriber", "feed": 77}),
            (TEXTROOM, {"request": "setup"}),
        ],
    )
    def test_nothing_else_goes_on(self, plugin: str, body: Body) -> None:
        talk = joined()
        handle = talk.attach(plugin)
        talk.dialect.kick()
        assert talk.ask(handle, body) == [Close(CloseCode.REMOVED, "The participant was removed.")]

    def test_keepalives_of_the_last_second_are_no_offence(self) -> None:
        talk = joined()
        talk.dialect.kick()
        assert len(to_janus(talk.say("keepalive"))) == 1

    def test_before_the_register_has_joined_no_kick_is_sent(self) -> None:
        talk = Conversation()
        assert talk.dialect.kick() == []
        talk = Conversation()
        talk.create()
        assert talk.dialect.kick() == []
        (end,) = talk.ask(talk.attach(AUDIOBRIDGE), {"request": "join", "display": participant_display()})
        assert isinstance(end, Close)
        assert talk.admitted == []

    def test_who_is_kicked_while_joining_is_announced_and_then_kicked(self) -> None:
        talk = Conversation()
        talk.create()
        register = talk.attach(AUDIOBRIDGE)
        talk.ask(register, {"request": "join", "display": participant_display()})
        assert talk.dialect.kick() == []
        effects = talk.reply(register, {"audiobridge": "joined", "room": ROOM.video, "id": 11, "participants": []})
        kick = {"request": "kick", "room": ROOM.video, "id": 11, "secret": ROOM.secret}
        assert own(effects) == [(register, kick)]
        assert [received["plugindata"]["data"]["audiobridge"] for received in to_client(effects)] == ["joined"]


def test_the_session_of_our_own_orders_is_the_browsers() -> None:
    talk = joined()
    talk.mixer()
    muting, kicking = to_janus(talk.dialect.mute(True)), to_janus(talk.dialect.kick())
    assert muting and kicking
    for request in muting + kicking:
        assert request["session_id"] == SESSION
        assert request["transaction"].startswith(OWN_PREFIX)
