"""Displays: what the SDK writes goes through unchanged, anything else is refused or reduced."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.signaling import display
from portico.signaling.display import ListenerDisplay, MalformedDisplay, ParticipantDisplay, StreamDisplay
from tests.signaling.conversation import (
    PARTICIPANT,
    STREAM,
    encode,
    listener_display,
    participant_display,
    stream_display,
)


def test_the_three_forms() -> None:
    assert display.parse(participant_display()) == ParticipantDisplay(PARTICIPANT, "Anna", True)
    assert display.parse(stream_display()) == StreamDisplay(PARTICIPANT, STREAM, "self", True, True)
    assert display.parse(listener_display()) == ListenerDisplay(PARTICIPANT)


def test_members_that_are_null_are_absent() -> None:
    text = encode({"participantId": PARTICIPANT, "external": None, "canReceiveMessages": None})
    assert display.parse(text) == ListenerDisplay(PARTICIPANT)


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
def test_the_context_survives_byte_for_byte(context: str) -> None:
    parsed = display.parse(participant_display(context=context))
    assert isinstance(parsed, ParticipantDisplay)
    assert parsed.external == context
    assert display.parse(display.encode(parsed)) == parsed


def test_a_context_has_at_most_so_many_bytes() -> None:
    longest = "\u20ac" * 1365 + "x"
    assert len(longest.encode()) == display.CONTEXT_BYTES_MAX
    assert display.parse(participant_display(context=longest)) == ParticipantDisplay(PARTICIPANT, longest, True)
    with pytest.raises(MalformedDisplay, match="the context must have at most 4096 bytes"):
        display.parse(participant_display(context=longest + "x"))


@pytest.mark.parametrize("text", [participant_display(), stream_display("presentation"), listener_display()])
def test_what_the_sdk_writes_is_not_changed(text: str) -> None:
    assert display.encode(display.parse(text)) == text


def test_members_that_no_sdk_knows_are_dropped() -> None:
    members = {"participantId": PARTICIPANT, "external": "x", "telephonyEngineParticipant": True, "__proto__": {}}
    assert display.encode(display.parse(encode(members))) == encode({"participantId": PARTICIPANT, "external": "x"})


_STREAM = {"id": STREAM, "key": "self", "isAudioEnabled": True, "isVideoEnabled": True}


@pytest.mark.parametrize(
    "members",
    [
        [],
        {},
        {"participantId": 7},
        {"participantId": "x"},
        {"participantId": PARTICIPANT.upper()},
        {"participantId": PARTICIPANT, "external": 7},
        {"participantId": PARTICIPANT, "external": "a\0b"},
        {"participantId": PARTICIPANT, "external": "\u20ac" * 1366},
        {"participantId": PARTICIPANT, "canReceiveMessages": "yes"},
        {"participantId": PARTICIPANT, "stream": None},
        {"participantId": PARTICIPANT, "stream": _STREAM | {"id": "x"}},
        {"participantId": PARTICIPANT, "stream": _STREAM | {"key": ""}},
        {"participantId": PARTICIPANT, "stream": _STREAM | {"key": "k" * 257}},
        {"participantId": PARTICIPANT, "stream": _STREAM | {"isAudioEnabled": 1}},
    ],
)
def test_malformed_members(members: object) -> None:
    with pytest.raises(MalformedDisplay):
        display.parse(encode(members))


@pytest.mark.parametrize(
    "text", [None, 7, "", "!!!", "e30", "bm90IGpzb24=", base64.b64encode(b"[" * 20_000).decode(), "QQ==" * 10_000]
)
def test_malformed_texts(text: object) -> None:
    with pytest.raises(MalformedDisplay):
        display.parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
OF_A_PARTICIPANT = st.fixed_dictionaries(
    {"participantId": st.uuids().map(str)}, optional={"external": JSON, "canReceiveMessages": JSON, "stream": JSON}
)


@given(JSON | OF_A_PARTICIPANT)
@settings(max_examples=settings().max_examples // 2, deadline=None)
def test_what_comes_out_is_what_goes_on_to_others(members: object) -> None:
    try:
        parsed = display.parse(base64.b64encode(json.dumps(members).encode()).decode())
    except MalformedDisplay:
        return
    assert display.parse(display.encode(parsed)) == parsed
