"""The dialect, step by step: for each input the whole list of orders."""

from typing import Any

import pytest

from portico.signaling.dialect import PENDING_MAX, Dialect
from portico.signaling.effects import Admit, CheckToken, Close, CloseCode, ToClient, ToJanus
from portico.signaling.limits import HANDLES_BEFORE_JOIN_MAX, HANDLES_MAX
from portico.signaling.pacing import SETTLES_SECS
from portico.signaling.stream_ids import StreamIds
from portico.signaling.subscribing import NOTHING
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    OTHER_PARTICIPANT,
    PARTICIPANT,
    ROOM,
    SESSION,
    TEXTROOM,
    VIDEOROOM,
    Conversation,
    listener_display,
    participant_display,
    refusal,
    stream_display,
    to_client,
    to_janus,
)

START, ANSWER = {"request": "start"}, {"type": "answer", "sdp": "v=0"}
END_OF_77 = {"videoroom": "event", "room": ROOM.video, "unpublished": 77}


def offered_stream() -> tuple[Conversation, int]:
    """A browser that was offered stream 77, on this handle."""
    talk = Conversation().join()
    handle = talk.subscriber()
    offer = {"videoroom": "attached", "room": ROOM.video, "id": 77}
    assert len(to_client(talk.reply(handle, offer, jsep={"type": "offer", "sdp": "v=0"}))) == 1
    return talk, handle


def check_rejection(message: dict[str, Any], handle: int, transaction: str) -> None:
    """An event in which the SDK looks for the content that is not there, and throws."""
    assert message["janus"] == "event" and message["sender"] == handle and message["transaction"] == transaction
    assert message["plugindata"] == {"plugin": VIDEOROOM}


class TestTokens:
    def test_the_token_is_checked_before_anything_goes_on(self) -> None:
        dialect = Dialect()
        message = {"janus": "create", "transaction": "t1", "client_token": "abc"}
        assert dialect.from_client(message) == [CheckToken("abc")]
        assert dialect.token_accepted("abc", ROOM, StreamIds()) == [ToJanus({"janus": "create", "transaction": "t1"})]

    def test_the_same_token_is_checked_once(self) -> None:
        talk = Conversation()
        talk.create()
        assert to_janus(talk.say("keepalive")) == [{"janus": "keepalive", "session_id": SESSION, "transaction": "t2"}]

    def test_a_new_token_is_checked_on_whatever_carries_it(self) -> None:
        talk = Conversation()
        talk.create()
        dialect = talk.dialect
        message = {"janus": "keepalive", "transaction": "t9", "client_token": "new", "session_id": SESSION}
        assert dialect.from_client(message) == [CheckToken("new")]
        assert len(to_janus(dialect.token_accepted("new", ROOM, StreamIds()))) == 1

    def test_a_bad_token_at_create_is_answered_on_the_next_request_because_the_sdk_would_wait_30_s(self) -> None:
        talk = Conversation(refuse_token=(401, "The token has expired."))
        created = talk.say("create")
        assert created == [ToClient({"janus": "success", "transaction": "t1", "data": {"id": 1}})]
        assert talk.say("attach", plugin=TEXTROOM, session_id=1) == [
            ToClient(
                {
                    "transaction": "t2",
                    "status_code": 401,
                    "error_message": "The token has expired.",
                    "close_code": 4005,
                }
            ),
            Close(CloseCode.TOKEN_REFUSED, "The token has expired."),
        ]

    def test_a_bad_token_later_ends_the_call(self) -> None:
        talk = Conversation().join()
        talk.refuse_token = (401, "not ours")
        assert refusal(talk.say("keepalive", client_token="forged")) == 401

    def test_an_expired_call_is_refused_and_closed_once(self) -> None:
        talk = Conversation().join()
        assert talk.dialect.token_expired()[0] == ToClient(
            {"status_code": 401, "error_message": "The token has expired.", "close_code": 4005}
        )
        assert talk.dialect.token_expired() == []

    @pytest.mark.parametrize("token", [7, ["x"], {"a": 1}, True])
    def test_a_token_that_is_no_text_is_refused(self, token: object) -> None:
        assert refusal(Conversation().say("create", client_token=token)) == 401

    def test_without_a_token_nothing_begins(self) -> None:
        assert refusal(Dialect().from_client({"janus": "create", "transaction": "t"})) == 401
        assert refusal(Dialect().from_client({"janus": "attach", "transaction": "t", "plugin": TEXTROOM})) == 401


class TestShape:
    @pytest.mark.parametrize("message", [None, 7, "x", [], [{}], {}, {"janus": "create"}, {"transaction": 7}])
    def test_what_is_no_request_is_refused(self, message: object) -> None:
        assert refusal(Dialect().from_client(message)) == 400

    def test_transactions_of_our_own_cannot_be_forged(self) -> None:
        assert refusal(Dialect().from_client({"janus": "create", "transaction": "portico:1"})) == 400

    def test_after_the_end_nothing_happens(self) -> None:
        dialect = Dialect()
        dialect.from_client(None)
        assert dialect.from_client({"janus": "create", "transaction": "t"}) == []
        assert dialect.from_janus({"janus": "timeout"}) == []

    def test_a_second_create_is_refused(self) -> None:
        talk = Conversation()
        talk.create()
        assert refusal(talk.say("create")) == 401

    @pytest.mark.parametrize("kind", ["claim", "info", "ping", "get_status", "list_sessions", "", None, 7, "timeout"])
    def test_only_a_browsers_requests_go_on(self, kind: Any) -> None:
        talk = Conversation()
        talk.create()
        assert refusal(talk.say(kind)) == 403

    @pytest.mark.parametrize("plugin", ["janus.plugin.streaming", "janus.plugin.echotest", None, 3, "", ["x"]])
    def test_other_plugins_are_closed(self, plugin: Any) -> None:
        talk = Conversation()
        talk.create()
        assert refusal(talk.say("attach", plugin=plugin)) == 403

    def test_the_session_is_always_ones_own(self) -> None:
        talk = Conversation()
        talk.create()
        assert to_janus(talk.say("keepalive", session_id=4711))[0]["session_id"] == SESSION

    def test_requests_without_an_answer_are_bounded(self) -> None:
        talk = Conversation()
        talk.create()
        for _ in range(PENDING_MAX):
            assert refusal(talk.say("keepalive")) is None
        assert refusal(talk.say("keepalive")) == 429

    def test_answers_make_room_again(self) -> None:
        talk = Conversation()
        talk.create()
        for _ in range(3 * PENDING_MAX):
            assert refusal(talk.say("keepalive")) is None
            talk.answer("ack")

    def test_a_transaction_that_still_waits_cannot_be_used_again(self) -> None:
        """Else the answer to one attach would be taken for the other's, and a handle for what it is not."""
        talk = Conversation()
        talk.create()
        for plugin, expected in ((AUDIOBRIDGE, None), (VIDEOROOM, 400)):
            message = {"janus": "attach", "transaction": "same", "client_token": "good", "plugin": plugin}
            assert refusal(talk.dialect.from_client(message)) == expected

    def test_handles_are_bounded(self) -> None:
        talk = Conversation()
        talk.create()
        for _ in range(HANDLES_BEFORE_JOIN_MAX):
            talk.attach(VIDEOROOM)
        assert refusal(talk.say("attach", plugin=VIDEOROOM)) == 429
        talk = Conversation().join()
        for _ in range(HANDLES_MAX - 1):
            talk.attach(VIDEOROOM)
        assert refusal(talk.say("attach", plugin=VIDEOROOM)) == 429


class TestRooms:
    def test_setup_returns_the_number_of_the_text_room(self) -> None:
        talk = Conversation()
        talk.create()
        handle = talk.attach(TEXTROOM)
        assert to_janus(talk.ask(handle, {"request": "setup", "room": ROOM.room_id}))[0]["body"] == {"request": "setup"}
        offer = {"type": "offer", "sdp": "v=0"}
        (received,) = to_client(talk.reply(handle, {"textroom": "event", "result": "ok"}, jsep=offer))
        assert received["plugindata"]["data"] == {"textroom": "event", "result": "ok", "janus_room_id": ROOM.text}
        assert received["jsep"] == offer

    def test_numbers_become_the_rooms_uuid(self) -> None:
        talk = Conversation().join()
        (received,) = to_client(talk.announce(1001, {"videoroom": "event", "room": ROOM.video, "leaving": 5}))
        assert received["plugindata"]["data"]["room"] == ROOM.room_id

    @pytest.mark.parametrize("plugin", ["videoroom", "audiobridge", "textroom"])
    def test_the_end_of_janus_rooms_is_not_sent(self, plugin: str) -> None:
        talk = Conversation().join()
        assert talk.announce(1001, {plugin: "destroyed", "room": ROOM.video}) == []


class TestJoining:
    def test_a_participant_is_admitted_before_janus_receives_its_join(self) -> None:
        talk = Conversation()
        talk.create()
        handle = talk.attach(AUDIOBRIDGE)
        body = {"request": "join", "room": ROOM.room_id, "display": participant_display(), "muted": False, "id": 5}
        message = {
            "janus": "message",
            "transaction": "j",
            "client_token": "good",
            "handle_id": handle,
            "body": body,
        }
        assert talk.dialect.from_client(message) == [Admit(PARTICIPANT, "Anna")]
        assert talk.dialect.participant_id is None
        (sent,) = to_janus(talk.dialect.admitted(50))
        assert sent["body"] == {
            "request": "join",
            "room": ROOM.video,
            "display": participant_display(),
            "muted": True,
        }
        assert talk.dialect.participant_id == PARTICIPANT

    def test_a_refused_participant_is_answered_and_closed(self) -> None:
        talk = Conversation(refuse_join=(403, "The room is full."))
        talk.create()
        handle = talk.attach(AUDIOBRIDGE)
        effects = talk.ask(handle, {"request": "join", "display": participant_display()})
        assert refusal(effects) == 403
        assert to_janus(effects) == []
        assert talk.dialect.participant_id is None

    def test_one_participant_for_one_connection(self) -> None:
        talk = Conversation().join()
        handle = talk.attach(AUDIOBRIDGE)
        assert refusal(talk.ask(handle, {"request": "join", "display": participant_display(OTHER_PARTICIPANT)})) == 403

    @pytest.mark.parametrize(
        ("plugin", "body"),
        [
            (AUDIOBRIDGE, {"request": "join", "display": stream_display("audiobridge", OTHER_PARTICIPANT)}),
            (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": listener_display(OTHER_PARTICIPANT)}),
            (
                VIDEOROOM,
                {"request": "join", "ptype": "publisher", "display": stream_display("self", OTHER_PARTICIPANT)},
            ),
        ],
    )
    def test_no_browser_acts_for_another_participant(self, plugin: str, body: dict[str, Any]) -> None:
        talk = Conversation().join()
        assert refusal(talk.ask(talk.attach(plugin), body)) == 403

    @pytest.mark.parametrize(
        ("plugin", "body"),
        [
            (AUDIOBRIDGE, {"request": "join", "display": stream_display("audiobridge")}),
            (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": listener_display()}),
            (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": stream_display()}),
            (VIDEOROOM, {"request": "join", "ptype": "subscriber", "feed": 5}),
        ],
    )
    def test_media_needs_a_participant(self, plugin: str, body: dict[str, Any]) -> None:
        talk = Conversation()
        talk.create()
        assert refusal(talk.ask(talk.attach(plugin), body)) == 403

    def test_a_new_display_cannot_change_who_one_is(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        body = {"request": "configure", "display": stream_display("self", OTHER_PARTICIPANT)}
        assert refusal(talk.ask(handle, body)) == 403

    def test_only_one_mixer(self) -> None:
        talk = Conversation().join()
        talk.mixer()
        second = talk.attach(AUDIOBRIDGE)
        assert refusal(talk.ask(second, {"request": "join", "display": stream_display("audiobridge")})) == 403

    def test_participants_is_always_there(self) -> None:
        talk = Conversation()
        talk.create()
        handle = talk.attach(AUDIOBRIDGE)
        talk.ask(handle, {"request": "join", "display": participant_display()})
        (received,) = to_client(talk.reply(handle, {"audiobridge": "joined", "room": ROOM.video, "id": 1}))
        assert received["plugindata"]["data"]["participants"] == []


class TestPublishing:
    def test_only_what_is_listed_reaches_janus(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        body = {
            "request": "configure",
            "audio": True,
            "video": True,
            "bitrate": 500_000,
            "display": stream_display(),
            "record": True,
            "filename": "/etc/passwd",
            "secret": "x",
            "keyframe": True,
        }
        (sent,) = to_janus(talk.ask(handle, body, jsep={"type": "offer", "sdp": "v=0", "e2ee": True}))
        assert sent["body"] == {
            "request": "configure",
            "display": stream_display(),
            "audio": True,
            "video": True,
            "bitrate": 500_000,
        }
        assert sent["jsep"] == {"type": "offer", "sdp": "v=0"}

    def test_moderation_is_sent_in_the_sdks_words(self) -> None:
        talk = Conversation().join()
        tracks = [{"type": "audio", "mid": "0"}, {"type": "video", "mid": "1"}]
        talk.announce(1001, {"videoroom": "event", "publishers": [{"id": 9, "streams": tracks}]})
        muted = {"videoroom": "event", "id": 9, "mid": "0", "moderation": "muted"}
        (received,) = to_client(talk.announce(1001, muted))
        assert received["plugindata"]["data"] == {
            "videoroom": "event",
            "room": ROOM.room_id,
            "id": 9,
            "audio-moderation": "muted",
        }

    def test_moderation_of_ones_own_stream_is_sent_too(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        talk.ask(handle, {"request": "configure", "audio": True})
        talk.reply(handle, {"videoroom": "event", "configured": "ok", "streams": [{"type": "audio", "mid": "0"}]})
        talk.from_janus(janus="webrtcup", sender=handle)
        (received,) = to_client(talk.announce(1, {"videoroom": "event", "id": 21, "mid": "0", "moderation": "unmuted"}))
        assert received["plugindata"]["data"]["audio-moderation"] == "unmuted"

    def test_late_joiners_see_who_is_moderated(self) -> None:
        talk = Conversation().join()
        streams = [{"type": "audio", "mid": "0", "moderated": True}, {"type": "video", "mid": "1"}]
        (received,) = to_client(talk.announce(1, {"videoroom": "event", "publishers": [{"id": 9, "streams": streams}]}))
        (publisher,) = received["plugindata"]["data"]["publishers"]
        assert publisher["audio_moderated"] is True
        assert "video_moderated" not in publisher


class TestSubscribing:
    def test_a_subscriber_may_ask_for_a_simulcast_layer(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        talk.reply(handle, {"videoroom": "attached", "id": 77}, jsep={"type": "offer", "sdp": "v=0"})
        (own,) = to_janus(talk.ask(handle, {"request": "configure", "substream": 0, "temporal": 2, "mid": "0"}))
        assert own["body"] == {"request": "configure", "substream": 0, "temporal": 2}

    @pytest.mark.parametrize("layer", [3, -1, True, "1"])
    def test_a_simulcast_layer_is_0_to_2(self, layer: object) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        talk.reply(handle, {"videoroom": "attached", "id": 77}, jsep={"type": "offer", "sdp": "v=0"})
        assert refusal(talk.ask(handle, {"request": "configure", "substream": layer})) is not None

    def test_a_subscriber_is_never_offered_anew(self) -> None:
        talk = Conversation().join()
        handle = talk.attach(VIDEOROOM)
        (sent,) = to_janus(talk.ask(handle, {"request": "join", "ptype": "subscriber", "feed": 77}))
        assert sent["body"] == {
            "request": "join",
            "room": ROOM.video,
            "ptype": "subscriber",
            "feed": 77,
            "autoupdate": False,
        }

    def test_an_unwanted_track_is_paused_before_the_browser_can_start(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber(audio=False, video=True)
        effects = talk.reply(handle, {"videoroom": "attached", "room": ROOM.video, "id": 77})
        own, answer = effects
        assert isinstance(own, ToJanus)
        assert own.message["body"] == {"request": "configure", "audio": False, "video": True}
        assert isinstance(answer, ToClient)
        assert talk.from_janus(janus="event", transaction=own.message["transaction"], plugindata={"data": {}}) == []

    def test_a_stream_that_is_gone_gives_an_offer_that_no_browser_takes(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        effects = talk.reply(handle, {"videoroom": "event", "error_code": 428, "error": "No such feed"})
        (received,) = to_client(effects)
        assert received["plugindata"]["data"]["videoroom"] == "attached"
        assert received["jsep"] == NOTHING
        (detach,) = to_janus(effects)
        assert detach["janus"] == "detach" and detach["handle_id"] == handle
        assert to_client(talk.say("trickle", handle_id=handle, candidate={"completed": True}))[0]["janus"] == "ack"

    def test_an_offer_after_the_end_is_none(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        ended = {"videoroom": "event", "room": ROOM.video, "unpublished": 77}
        assert len(to_client(talk.announce(1, ended))) == 1
        offer = {"videoroom": "attached", "room": ROOM.video, "id": 77}
        effects = talk.reply(handle, offer, jsep={"type": "offer", "sdp": "v=0"})
        assert to_client(effects)[0]["jsep"] == NOTHING
        assert [sent["janus"] for sent in to_janus(effects)] == ["detach"]

    @pytest.mark.parametrize("settles", ["detach", "detached", "time"])
    def test_an_end_after_the_offer_waits_until_it_is_taken_in(self, settles: str) -> None:
        talk, handle = offered_stream()
        assert talk.announce(1, END_OF_77) == []
        match settles:
            case "detach":
                received = to_client(talk.say("detach", handle_id=handle))
            case "detached":
                received = to_client(talk.from_janus(janus="detached", sender=handle))
                assert received.pop(0)["janus"] == "detached"
            case "time":
                received = to_client(talk.time_passes())
        assert [each["plugindata"]["data"]["unpublished"] for each in received] == [77]

    def test_a_start_after_the_end_is_rejected(self) -> None:
        talk, handle = offered_stream()
        talk.announce(1, END_OF_77)
        effects = talk.ask(handle, START, jsep=ANSWER)
        ack, rejection, end = to_client(effects)
        assert ack["janus"] == "ack"
        check_rejection(rejection, handle, talk.newest)
        assert end["plugindata"]["data"]["unpublished"] == 77
        assert [sent["janus"] for sent in to_janus(effects)] == ["detach"]
        assert to_client(talk.say("trickle", handle_id=handle, candidate={"completed": True}))[0]["janus"] == "ack"

    @pytest.mark.parametrize("answer", [{"started": "ok"}, {"error_code": 499, "error": "unknown"}])
    def test_a_start_that_meets_the_end_in_janus_is_rejected(self, answer: dict[str, Any]) -> None:
        talk, handle = offered_stream()
        assert len(to_janus(talk.ask(handle, START, jsep=ANSWER))) == 1
        assert len(to_client(talk.announce(1, END_OF_77))) == 1
        effects = talk.reply(handle, {"videoroom": "event", **answer})
        (rejection,) = to_client(effects)
        check_rejection(rejection, handle, talk.newest)
        assert [sent["janus"] for sent in to_janus(effects)] == ["detach"]

    def test_an_end_after_the_start_waits_until_it_is_taken_in(self) -> None:
        talk, handle = offered_stream()
        talk.ask(handle, START, jsep=ANSWER)
        (started,) = to_client(talk.reply(handle, {"videoroom": "event", "started": "ok"}))
        assert started["plugindata"]["data"]["started"] == "ok"
        assert talk.announce(1, END_OF_77) == []
        assert talk.later == {handle: SETTLES_SECS}
        (end,) = to_client(talk.time_passes())
        assert end["plugindata"]["data"]["unpublished"] == 77

    def test_who_is_kicked_receives_all_of_it_at_once(self) -> None:
        talk, _ = offered_stream()
        assert talk.announce(1, END_OF_77) == []
        (end,) = to_client(talk.settle(talk.dialect.kick()))
        assert end["plugindata"]["data"]["unpublished"] == 77

    @pytest.mark.parametrize("feed", [0, -1, 2**53, "77", 7.5, True, None])
    def test_feeds_are_numbers(self, feed: Any) -> None:
        talk = Conversation().join()
        handle = talk.attach(VIDEOROOM)
        assert refusal(talk.ask(handle, {"request": "join", "ptype": "subscriber", "feed": feed})) == 403


class TestEndings:
    def test_a_repeated_detach_succeeds(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        talk.reply(
            handle, {"videoroom": "attached", "room": ROOM.video, "id": 77}, jsep={"type": "offer", "sdp": "v=0"}
        )
        assert len(to_janus(talk.say("detach", handle_id=handle))) == 1
        talk.answer()
        again = talk.say("detach", handle_id=handle)
        assert to_client(again)[0]["janus"] == "success"
        assert to_janus(again) == []

    def test_janus_error_to_a_detach_is_success(self) -> None:
        talk = Conversation().join()
        handle = talk.subscriber()
        talk.reply(
            handle, {"videoroom": "attached", "room": ROOM.video, "id": 77}, jsep={"type": "offer", "sdp": "v=0"}
        )
        talk.say("detach", handle_id=handle)
        (received,) = to_client(talk.answer("error", error={"code": 459, "reason": "No such handle"}))
        assert received["janus"] == "success"

    def test_a_candidate_for_a_detached_handle_is_acknowledged(self) -> None:
        talk = Conversation().join()
        assert to_client(talk.say("trickle", handle_id=99, candidate={"completed": True}))[0]["janus"] == "ack"

    def test_a_request_to_a_handle_that_is_not_ones_own_is_refused(self) -> None:
        talk = Conversation().join()
        assert refusal(talk.ask(4711, {"request": "start"})) == 404

    def test_other_errors_are_answered_because_the_sdk_would_wait_for_ever(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        talk.ask(handle, {"request": "configure", "audio": True})
        answer = talk.reply(handle, {"videoroom": "event", "error_code": 432, "error": "Maximum number of publishers"})
        assert refusal(answer) == 503

    def test_a_goodbye_is_remembered(self) -> None:
        talk = Conversation().join()
        assert not talk.dialect.left_by_request
        answer, close = talk.say("destroy")
        assert talk.dialect.left_by_request
        assert isinstance(answer, ToClient)
        assert answer.message["janus"] == "success"
        assert close == Close(CloseCode.GOODBYE, "goodbye"), "Janus' session ends with its socket, after the row"

    def test_no_connection_stays_without_being_in_the_list(self) -> None:
        talk = Conversation().join()
        register = 1001
        answer, close = talk.say("detach", handle_id=register)
        assert isinstance(answer, ToClient)
        assert close == Close(CloseCode.GOODBYE, "goodbye")
        assert refusal(Conversation().join().ask(register, {"request": "leave"})) == 403

    def test_janus_session_timeout(self) -> None:
        assert Conversation().join().from_janus(janus="timeout") == [
            Close(CloseCode.TIMED_OUT, "No keepalive arrived for too long.")
        ]

    def test_lost_media_ends_the_call_because_the_sdk_would_not_notice(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        effects = talk.from_janus(janus="hangup", sender=handle, reason="ICE failed")
        assert effects[-1] == Close(CloseCode.MEDIA_LOST, "The media connection was lost: ICE failed.")

    def test_other_hangups_are_passed_on(self) -> None:
        talk = Conversation().join()
        handle = talk.publisher()
        assert len(talk.from_janus(janus="hangup", sender=handle, reason="DTLS alert")) == 1

    @pytest.mark.parametrize("kind", ["webrtcup", "media", "slowlink"])
    def test_what_mobile_sdks_read_is_passed_on(self, kind: str) -> None:
        talk = Conversation().join()
        assert to_client(talk.from_janus(janus=kind, sender=1001)) == [
            {"session_id": SESSION, "janus": kind, "sender": 1001}
        ]


class TestVolume:
    def test_the_level_does_not_fall_with_the_number_of_silent_people(self) -> None:
        talk = Conversation().join()
        mixer = talk.mixer()
        levels = []
        for number in range(2, 12):
            other = {"id": number, "display": stream_display("audiobridge", OTHER_PARTICIPANT)}
            own = to_janus(talk.announce(1001, {"audiobridge": "joined", "participants": [other]}))
            levels += [message["body"]["volume"] for message in own]
            assert all(message["handle_id"] == mixer for message in own)
        assert levels == [37]

    def test_the_level_falls_with_the_number_of_talkers_and_rises_again(self) -> None:
        talk = Conversation().join()
        talk.mixer()
        others = [{"id": number, "display": stream_display("audiobridge", OTHER_PARTICIPANT)} for number in range(2, 8)]
        talk.announce(1001, {"audiobridge": "joined", "participants": [{**others[0], "talking": True}, *others[1:]]})
        levels = []
        for word, numbers in (("talking", (3, 3, 4, 5, 6, 7)), ("stopped-talking", (7, 6, 5, 4, 3, 2))):
            for number in numbers:
                own = to_janus(talk.announce(1001, {"audiobridge": word, "id": number}))
                levels += [message["body"]["volume"] for message in own]
        assert levels == [25, 18, 15, 12, 15, 18, 25, 37]

    def test_it_rises_again_when_they_leave(self) -> None:
        talk = Conversation().join()
        talk.mixer()
        others = [{"id": number, "display": stream_display("audiobridge", OTHER_PARTICIPANT)} for number in (2, 3)]
        talk.announce(1001, {"audiobridge": "joined", "participants": others})
        (own,) = to_janus(talk.announce(1001, {"audiobridge": "event", "leaving": 3}))
        assert own["body"] == {"request": "configure", "volume": 50}

    def test_people_are_not_counted_twice(self) -> None:
        talk = Conversation().join()
        talk.mixer()
        both = [
            {"id": 2, "display": stream_display("audiobridge", OTHER_PARTICIPANT)},
            {"id": 3, "display": participant_display(OTHER_PARTICIPANT)},
            {"id": 12, "display": stream_display("audiobridge")},
        ]
        for _ in range(3):
            assert to_janus(talk.announce(1001, {"audiobridge": "joined", "participants": both})) == []
