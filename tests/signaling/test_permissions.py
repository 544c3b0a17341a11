"""What tokens allow: each permission by itself, in the requests that go on and in what slips in with them."""

from typing import Any

import pytest

from portico.core.tokens import Permissions
from portico.signaling import send_only
from portico.signaling.dialect import NO_TEXT_ROOM
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    OTHER_PARTICIPANT,
    ROOM,
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

OFFER = {"type": "offer", "sdp": "v=0\r\n"}
MIXER_ID = 12


def joined(**permissions: Any) -> Conversation:
    return Conversation(permissions=Permissions(**permissions)).join()


JOINS: list[tuple[str, dict[str, Any]]] = [
    (AUDIOBRIDGE, {"request": "join", "display": participant_display(OTHER_PARTICIPANT)}),
    (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": listener_display()}),
    (VIDEOROOM, {"request": "join", "ptype": "publisher", "display": stream_display()}),
    (VIDEOROOM, {"request": "join", "ptype": "subscriber", "feed": 77}),
    (TEXTROOM, {"request": "setup"}),
]


class TestPermissions:
    @pytest.mark.parametrize(
        ("permission", "body", "reason"),
        [
            ("can_publish", JOINS[2][1], "the token does not allow publishing"),
            ("can_subscribe", JOINS[3][1], "the token does not allow subscribing"),
        ],
    )
    def test_what_is_not_allowed_is_refused(self, permission: str, body: dict[str, Any], reason: str) -> None:
        for allowed, expected in ((True, None), (False, 403)):
            talk = joined(**{permission: allowed})
            effects = talk.ask(talk.attach(VIDEOROOM), body)
            assert refusal(effects) == expected
            if expected:
                assert to_client(effects)[0]["error_message"] == reason

    @pytest.mark.parametrize("permission", ["can_publish", "can_subscribe", "can_send_messages"])
    def test_everything_else_goes_on(self, permission: str) -> None:
        refused = {"can_publish": JOINS[2], "can_subscribe": JOINS[3]}.get(permission)
        for plugin, body in JOINS[1:]:
            talk = joined(**{permission: False})
            if (plugin, body) != refused:
                assert refusal(talk.ask(talk.attach(plugin), body)) is None

    @pytest.mark.parametrize(("plugin", "body"), JOINS)
    def test_no_offer_slips_in_with_a_join(self, plugin: str, body: dict[str, Any]) -> None:
        """Janus would take it: a publisher that was let in to listen only, and a hearer in the register."""
        talk = Conversation()
        if plugin == AUDIOBRIDGE:
            talk.create()
        else:
            talk.join()
        assert refusal(talk.ask(talk.attach(plugin), body, jsep=OFFER)) == 403
        assert talk.admitted == [] or plugin != AUDIOBRIDGE

    def test_the_sound_of_a_browser_that_may_not_publish_stays_out_of_the_mix(self) -> None:
        talk = joined(can_publish=False)
        mixer = talk.attach(AUDIOBRIDGE)
        (sent,) = to_janus(talk.ask(mixer, {"request": "join", "display": stream_display("audiobridge")}))
        assert sent["body"]["muted"] is True
        joined_as = {"audiobridge": "joined", "room": ROOM.video, "id": MIXER_ID, "participants": []}
        talk.reply(mixer, joined_as)
        (sent,) = to_janus(talk.ask(mixer, {"request": "configure", "muted": False}))
        assert sent["body"]["muted"] is True
        talk.dialect.mute(True)
        (order,) = to_janus(talk.dialect.mute(False))
        assert (order["handle_id"], order["body"]["request"]) == (mixer, "mute")

    def test_janus_is_offered_no_receiver_by_a_browser_that_may_not_subscribe(self) -> None:
        talk = joined(can_subscribe=False)
        mixer = talk.mixer()
        offered = {"type": "offer", "sdp": "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendrecv\r\n"}
        (sent,) = to_janus(talk.ask(mixer, {"request": "configure"}, jsep=offered))
        assert sent["jsep"]["sdp"].endswith("a=mid:0\r\na=sendonly\r\n")
        answer = {"type": "answer", "sdp": offered["sdp"].replace("sendrecv", "recvonly")}
        (received,) = to_client(talk.reply(mixer, {"audiobridge": "event", "result": "ok"}, jsep=answer))
        assert received["jsep"]["sdp"].endswith("a=sendrecv\r\na=msid:janus janus0\r\n")

    def test_others_learn_who_cannot_receive_messages(self) -> None:
        shown = {}
        for allowed in (True, False):
            talk = Conversation(permissions=Permissions(can_send_messages=allowed))
            talk.create()
            body = {"request": "join", "display": participant_display()}
            (sent,) = to_janus(talk.ask(talk.attach(AUDIOBRIDGE), body))
            shown[allowed] = sent["body"]["display"]
        assert shown[True] == participant_display()
        assert shown[False] != shown[True]

    def test_the_data_channel_of_a_browser_that_may_not_write_leads_nowhere(self) -> None:
        for allowed, expected in ((True, ROOM.text), (False, NO_TEXT_ROOM)):
            talk = joined(can_send_messages=allowed)
            text = talk.attach(TEXTROOM)
            talk.ask(text, {"request": "setup", "room": ROOM.room_id})
            (received,) = to_client(talk.reply(text, {"textroom": "event", "result": "ok"}, jsep=OFFER))
            assert received["plugindata"]["data"]["janus_room_id"] == expected
            assert str(ROOM.text) not in str(received) or allowed

    def test_a_later_token_decides_from_then_on(self) -> None:
        talk = joined(can_publish=False)
        talk.permissions = Permissions()
        talk.say("keepalive", client_token="another")
        plugin, body = JOINS[2]
        assert refusal(talk.say("message", handle_id=talk.attach(plugin), body=body, client_token="another")) is None


MEDIA = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"


class TestSendOnly:
    @pytest.mark.parametrize(
        "direction",
        ["a=sendrecv", "a=recvonly", "", "a=SendRecv", "a=sendrecv ", "a= sendrecv", "a=sendrecv\r\na=recvonly"],
    )
    @pytest.mark.parametrize("end", ["\r\n", "\n"])
    def test_whatever_a_browser_offers_it_only_sends(self, direction: str, end: str) -> None:
        sdp = f"v=0\r\ns=-\r\n{MEDIA}{direction}\r\n{MEDIA}a=rtcp-mux\r\n".replace("\r\n", end)
        offered = send_only.offer({"type": "offer", "sdp": sdp})
        assert offered["type"] == "offer"
        lines = offered["sdp"].split()
        assert [line for line in lines if "send" in line.lower() or "recv" in line.lower()] == ["a=sendonly"] * 2
        session, first, second = offered["sdp"].split("m=audio")
        assert "send" not in session
        assert first.endswith("a=sendonly\r\n")
        assert second.endswith("a=rtcp-mux\r\na=sendonly\r\n")

    def test_a_direction_for_all_media_is_none(self) -> None:
        offered = send_only.offer({"type": "offer", "sdp": f"v=0\r\na=sendrecv\r\n{MEDIA}"})
        assert offered["sdp"] == f"v=0\r\n{MEDIA}a=sendonly\r\n"

    def test_an_answer_that_names_a_track_keeps_it(self) -> None:
        answered = send_only.answer({"type": "answer", "sdp": f"v=0\r\n{MEDIA}a=recvonly\r\na=msid:x y\r\n"})
        assert answered["sdp"] == f"v=0\r\n{MEDIA}a=sendrecv\r\na=msid:x y\r\n"
