"""The dialect of the client, message by message: rosters, streams, mutes, speaking, leaves, and what a rejoin keeps."""

from typing import Any

from portico.client.dialect import ChatDialect, Dialect, decode, encode, participant_display, stream_display
from portico.client.events import Event, Joined, Left, Muted, Published, Speaking, Unpublished, Updated
from portico.client.participant import Participant, display_name

REGISTER, LISTENER, ELSEWHERE = 11, 12, 13
ME, ANNA, BEN = (f"{number}0000000-0000-4000-8000-000000000000" for number in (1, 2, 3))


def member(number: int, participant_id: str, context: str | None = '{"name": "Anna"}') -> dict[str, Any]:
    return {"id": number, "display": participant_display(participant_id, context, receives_messages=True)}


def mixer(number: int, participant_id: str) -> dict[str, Any]:
    return {
        "id": number,
        "display": stream_display(participant_id, participant_id, "audiobridge", audio=True, video=True),
    }


def publisher(feed: int, participant_id: str, key: str = "self", **members: Any) -> dict[str, Any]:
    kinds = members.pop("kinds", ("audio", "video"))
    shown = stream_display(participant_id, f"stream-{key}", key, audio=True, video=members.pop("video", True))
    return {"id": feed, "display": shown, "streams": [{"type": kind} for kind in kinds], **members}


def message(sender: int, **content: Any) -> dict[str, Any]:
    return {"janus": "event", "sender": sender, "plugindata": {"plugin": "any", "data": content}}


def joined(
    *members: dict[str, Any], publishers: tuple[dict[str, Any], ...] = (), known: Any = None
) -> tuple[Dialect, list[Event]]:
    """A dialect after its join, and the events of the join."""
    dialect = Dialect(Participant(ME, is_self=True), known=known)
    events = dialect.roster(REGISTER, {"audiobridge": "joined", "participants": list(members)})
    events += dialect.roster(LISTENER, {"videoroom": "joined", "publishers": list(publishers)})
    return dialect, events


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_the_events_of_a_join_are_those_who_are_there_and_then_their_streams() -> None:
    dialect, events = joined(member(1, ANNA), mixer(2, ANNA), member(3, BEN, None), publishers=(publisher(7, ANNA),))
    anna, ben = dialect.participants[ANNA], dialect.participants[BEN]
    assert events == [Joined(anna), Joined(ben), Published(anna, anna.streams["self"])]
    assert (anna.name, ben.name, ben.context) == ("Anna", "Guest", None)
    stream = anna.streams["self"]
    assert (stream.feed, stream.has_audio, stream.has_video, stream.muted) == (7, True, True, False)
    assert dialect.stream_of(7) == (anna, stream)


def test_the_own_members_are_no_participants() -> None:
    dialect, events = joined(member(1, ME), mixer(2, ME))
    assert (events, dialect.participants) == ([], {})


def test_a_participant_who_joins_publishes_and_leaves_is_reported_once_for_each() -> None:
    dialect, _ = joined()
    assert kinds(dialect.receive(message(REGISTER, audiobridge="joined", participants=[member(1, ANNA)]))) == ["joined"]
    assert dialect.receive(message(REGISTER, audiobridge="joined", participants=[mixer(2, ANNA)])) == []
    assert dialect.receive(message(ELSEWHERE, audiobridge="joined", participants=[member(1, BEN)])) == []
    anna = dialect.participants[ANNA]
    shared = publisher(8, ANNA, "presentation", kinds=("video",), audio_moderated=True)
    (event,) = dialect.receive(message(LISTENER, videoroom="event", publishers=[shared]))
    assert isinstance(event, Published)
    assert (event.stream.has_audio, event.stream.has_video, anna.muted) == (False, True, True)
    left = dialect.receive(message(REGISTER, audiobridge="event", leaving=1))
    assert left == [Unpublished(anna, event.stream), Left(anna, "left")]
    assert (anna.has_left, anna.streams, dialect.participants) == (True, {}, {})
    assert dialect.receive(message(LISTENER, videoroom="event", unpublished=8)) == []
    assert dialect.receive(message(REGISTER, audiobridge="event", leaving=2)) == []


def test_a_kick_of_another_participant_is_a_leave_and_of_the_own_one_is_noted() -> None:
    dialect, _ = joined(member(1, ME), member(2, ANNA))
    anna = dialect.participants[ANNA]
    assert dialect.receive(message(REGISTER, audiobridge="event", kicked=2)) == [Left(anna, "kicked")]
    assert not dialect.was_kicked
    assert dialect.receive(message(REGISTER, audiobridge="event", kicked=1)) == []
    assert dialect.was_kicked


def test_moderation_and_switched_tracks_are_reported_when_they_change() -> None:
    dialect, _ = joined(member(1, ANNA), publishers=(publisher(7, ANNA),))
    anna, stream = dialect.participants[ANNA], dialect.participants[ANNA].streams["self"]
    muted = message(LISTENER, **{"videoroom": "event", "id": 7, "audio-moderation": "muted"})
    assert dialect.receive(muted) == [Muted(anna, stream, True)]
    assert dialect.receive(muted) == []
    unmuted = message(LISTENER, **{"videoroom": "event", "id": 7, "audio-moderation": "unmuted"})
    assert dialect.receive(unmuted) == [Muted(anna, stream, False)]
    off = message(LISTENER, videoroom="event", **publisher(7, ANNA, video=False))
    off["plugindata"]["data"].pop("streams")
    assert dialect.receive(off) == [Updated(anna, stream)]
    assert (stream.audio_enabled, stream.video_enabled) == (True, False)
    assert dialect.receive(off) == []


def test_the_moderation_of_an_own_stream_is_reported_too() -> None:
    dialect, _ = joined()
    assert dialect.receive(message(LISTENER, videoroom="event", publishers=[publisher(9, ME)])) == []
    (event,) = dialect.receive(message(LISTENER, **{"videoroom": "event", "id": 9, "audio-moderation": "muted"}))
    assert isinstance(event, Muted)
    assert event.participant is dialect.me
    assert dialect.me.muted
    assert dialect.receive(message(LISTENER, videoroom="event", unpublished=9)) == []
    assert dialect.me.streams == {}


def test_one_voice_in_a_stream_and_in_the_mix_speaks_once() -> None:
    dialect, _ = joined(member(1, ANNA), mixer(2, ANNA), publishers=(publisher(7, ANNA),))
    anna = dialect.participants[ANNA]
    assert dialect.receive(message(LISTENER, videoroom="talking", id=7)) == [Speaking(anna, True)]
    assert dialect.receive(message(REGISTER, audiobridge="talking", id=2)) == []
    assert dialect.receive(message(LISTENER, **{"videoroom": "stopped-talking", "id": 7})) == []
    assert dialect.receive(message(REGISTER, **{"audiobridge": "stopped-talking", "id": 2})) == [Speaking(anna, False)]
    dialect.receive(message(LISTENER, videoroom="talking", id=7))
    ended = dialect.receive(message(LISTENER, videoroom="event", unpublished=7))
    assert kinds(ended) == ["speaking", "unpublished"]


def test_a_stream_that_is_published_again_replaces_the_one_of_the_same_feed() -> None:
    dialect, _ = joined(member(1, ANNA), publishers=(publisher(7, ANNA),))
    again = dialect.receive(message(LISTENER, videoroom="event", publishers=[publisher(7, ANNA)]))
    assert kinds(again) == ["unpublished", "published"]


def test_after_a_rejoin_those_who_stayed_are_the_same_and_only_changes_are_events() -> None:
    before, _ = joined(
        member(1, ANNA),
        member(2, BEN),
        publishers=(publisher(7, ANNA), publisher(8, ANNA, "presentation"), publisher(9, BEN)),
    )
    anna, ben = before.participants[ANNA], before.participants[BEN]
    camera, screen, gone = anna.streams["self"], anna.streams["presentation"], ben.streams["self"]
    after, events = joined(member(5, ANNA), publishers=(publisher(70, ANNA),), known=before.participants)
    assert events == [Unpublished(anna, screen), Unpublished(ben, gone), Left(ben, "left")]
    assert after.participants == {ANNA: anna}
    assert (anna.streams, camera.feed, ben.has_left) == ({"self": camera}, 70, True)
    assert after.stream_of(70) == (anna, camera)


def test_what_is_malformed_is_ignored() -> None:
    dialect, events = joined({"id": 1, "display": "%"}, {"display": encode({"participantId": ANNA})}, {"id": "x"})
    assert events == []
    for content in (
        {"videoroom": "event", "publishers": [{"id": 7}, {"id": "x", "display": "%"}, publisher(7, BEN)]},
        {"videoroom": "event", "id": 99, "display": "%"},
        {"videoroom": "talking", "id": 99},
        {"videoroom": "event", "unpublished": "x"},
        {},
    ):
        assert dialect.receive(message(LISTENER, **content)) == []
    assert dialect.receive({"janus": "event"}) == []
    assert decode("bm8=") == decode(7) == decode(encode({})[:3]) == {}


def test_the_name_is_the_one_that_the_meeting_page_shows() -> None:
    names = {
        '{"username": "Anna"}': "Anna",
        '{"username": " ", "displayName": "Ben"}': "Ben",
        "Carl": "Carl",
        '"Dora"': "Dora",
        "[1]": "Guest",
        None: "Guest",
    }
    assert {context: display_name(context) for context in names} == names


def test_chat_messages_are_read_with_their_recipients_and_other_texts_are_not() -> None:
    dialect = ChatDialect(5, ME)
    sent = dialect.message("t", {"type": "text", "payload": "hello"}, [ANNA])
    assert '"tos": ["' + ANNA in sent
    text = sent.replace('"textroom": "message"', f'"textroom": "message", "from": "{BEN}"')
    assert ChatDialect.read(text) == (BEN, {"type": "text", "payload": "hello"}, (ANNA,))
    assert ChatDialect.read(dialect.join("t")) is None
    assert ChatDialect.read(sent) is None
    assert ChatDialect.read("no JSON") is None
