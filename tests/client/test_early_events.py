"""What the server reports in the same instant as a roster is taken after it, however the client's tasks run."""

from typing import Any

from portico.client.dialect import Dialect, participant_display, stream_display
from portico.client.events import Joined, Left, Published
from portico.client.participant import Participant

REGISTER, LISTENER = 11, 12
ME, ANNA, BEN = (f"{number}0000000-0000-4000-8000-000000000000" for number in (1, 2, 3))


def member(number: int, participant_id: str) -> dict[str, Any]:
    return {"id": number, "display": participant_display(participant_id, None, receives_messages=True)}


def publisher(feed: int, participant_id: str) -> dict[str, Any]:
    shown = stream_display(participant_id, f"stream-{feed}", "self", audio=True, video=True)
    return {"id": feed, "display": shown, "streams": [{"type": "audio"}]}


def message(sender: int, **content: Any) -> dict[str, Any]:
    return {"sender": sender, "plugindata": {"data": content}}


def test_a_join_and_a_leave_before_the_roster_is_taken_are_not_lost() -> None:
    dialect = Dialect(Participant(ME), Participant)
    dialect.expect_roster(REGISTER)
    assert dialect.receive(message(REGISTER, audiobridge="joined", participants=[member(2, BEN)])) == []
    assert dialect.receive(message(REGISTER, audiobridge="event", leaving=1)) == []
    events = dialect.roster(REGISTER, {"audiobridge": "joined", "participants": [member(1, ANNA)]})
    assert [type(event) for event in events] == [Joined, Joined, Left]
    assert list(dialect.participants) == [BEN]


def test_the_end_of_a_stream_before_the_roster_is_taken_leaves_no_ghost() -> None:
    dialect = Dialect(Participant(ME), Participant)
    dialect.roster(REGISTER, {"audiobridge": "joined", "participants": [member(1, ANNA)]})
    dialect.expect_roster(LISTENER)
    assert dialect.receive(message(LISTENER, videoroom="event", unpublished=7)) == []
    assert dialect.receive(message(LISTENER, videoroom="event", publishers=[publisher(8, ANNA)])) == []
    events = dialect.roster(LISTENER, {"videoroom": "joined", "publishers": [publisher(7, ANNA)]})
    assert [type(event) for event in events][::2] == [Published, Published]
    assert [stream.feed for stream in dialect.participants[ANNA].streams.values()] == [8]
