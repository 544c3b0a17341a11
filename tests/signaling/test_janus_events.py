"""Reports of Janus' event handler, parsed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.signaling.janus_events import BridgeLeft, TextJoined, parse
from tests.signaling.conversation import AUDIOBRIDGE, TEXTROOM


def report(plugin: str, data: object, **members: Any) -> dict[str, Any]:
    return {"emitter": "portico", "type": 64, "timestamp": 1, "event": {"plugin": plugin, "data": data}, **members}


JOIN = {"event": "join", "room": 7, "username": "anna"}


def test_a_text_join_names_room_user_and_the_owner_of_its_handle() -> None:
    assert parse(report(TEXTROOM, JOIN, opaque_id="c0ffee")) == [TextJoined("c0ffee", 7, "anna")]
    assert parse(report(TEXTROOM, JOIN)) == [TextJoined(None, 7, "anna")]


def test_who_left_the_bridge_or_was_kicked_is_gone() -> None:
    frame = [report(AUDIOBRIDGE, {"event": event, "room": 7, "id": 11}) for event in ("left", "kicked", "joined")]
    assert parse(frame) == [BridgeLeft(7, 11), BridgeLeft(7, 11)]


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [],
        [[], 1, None],
        {"type": 64},
        {"type": 64, "event": []},
        report(AUDIOBRIDGE, JOIN),
        report(TEXTROOM, {**JOIN, "room": "7"}),
        report(TEXTROOM, {**JOIN, "username": None}),
        report(TEXTROOM, None),
        {**report(TEXTROOM, JOIN), "type": 16},
    ],
)
def test_everything_else_is_left_out(frame: object) -> None:
    assert parse(frame) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "event", "plugin", "data", "room", "id", "username"]), inner)
    ),
)
NAMED = st.fixed_dictionaries(
    {"event": st.sampled_from(["join", "left", "kicked"])}, optional={"room": JSON, "id": JSON, "username": JSON}
)


@given(JSON | st.lists(st.builds(report, st.sampled_from([TEXTROOM, AUDIOBRIDGE]), NAMED | JSON), min_size=1))
def test_whatever_is_json_is_an_event_of_the_right_types_or_left_out(frame: object) -> None:
    for event in parse(frame):
        match event:
            case TextJoined(None | str(), int(), str()) | BridgeLeft(int(), int()):
                pass
            case _:
                pytest.fail(f"{event} has wrong types")
