"""Casting: what each kind takes and refuses, by tables and by Hypothesis."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.api import bodies
from portico.core.casting import BodyMember, Value, cast, is_storable, parse_uuid, with_defaults
from portico.core.errors import Invalid
from portico.core.model import RoomSettings

SIZE = BodyMember("size", "integer", "", default=3, minimum=2, maximum=50)
ON = BodyMember("on", "boolean", "", default=False)
NAME = BodyMember("name", "string", "", default=None, longest=5)
URL = BodyMember("url", "url", "", default="")
TOKEN = BodyMember("token", "string", "", required=True)


def refused(member: BodyMember, given: object) -> list[tuple[str, str | None]]:
    with pytest.raises(Invalid) as caught:
        cast([member], {member.name: given})
    return [(fault.code, fault.pointer) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("member", "given", "expected"),
    [
        (SIZE, 2, 2),
        (SIZE, "50", 50),
        (SIZE, "+7", 7),
        (SIZE, "007", 7),
        (SIZE, None, 3),
        (ON, True, True),
        (ON, "true", True),
        (ON, "1", True),
        (ON, "false", False),
        (ON, "0", False),
        (ON, None, False),
        (NAME, "abcde", "abcde"),
        (NAME, "", None),
        (NAME, None, None),
        (NAME, " x ", " x "),
        (NAME, "\U0001f600" * 5, "\U0001f600" * 5),
        (URL, "", ""),
        (URL, None, ""),
        (TOKEN, "x", "x"),
    ],
)
def test_accepted(member: BodyMember, given: object, expected: Value) -> None:
    value = cast([member], {member.name: given})[member.name]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("member", "given", "code"),
    [
        (SIZE, 1, "10033"),
        (SIZE, "51", "10033"),
        (SIZE, "-3", "10033"),
        (SIZE, 10**400, "10033"),
        (SIZE, 10.0, "10026"),
        (SIZE, "10.5", "10026"),
        (SIZE, " 10", "10026"),
        (SIZE, "1e1", "10026"),
        (SIZE, "", "10026"),
        (SIZE, "\u0661\u0660", "10026"),
        (SIZE, "9" * 5000, "10026"),
        (SIZE, True, "10026"),
        (SIZE, [], "10026"),
        (SIZE, {}, "10026"),
        (SIZE, float("inf"), "10026"),
        (ON, 1, "10026"),
        (ON, "yes", "10026"),
        (ON, "True", "10026"),
        (ON, "", "10026"),
        (NAME, 5, "10026"),
        (NAME, "abcdef", "10025"),
        (NAME, "a\0b", "10027"),
        (NAME, "\ud800", "10027"),
        (URL, 5, "10026"),
        (TOKEN, None, "10004"),
        (TOKEN, "", "10004"),
    ],
)
def test_refused(member: BodyMember, given: object, code: str) -> None:
    assert refused(member, given) == [(code, f"/{member.name}")]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://127.0.0.1:9000/hook?a=b#c",
        "HTTPS://EXAMPLE.com/%20",
        "http://[::1]:80/",
        "http://localhost",
        "https://b\u00fccher.example/\u00e4",
        "https://example.com/" + "a" * 1980,
    ],
)
def test_urls_that_can_be_called(url: str) -> None:
    assert cast([URL], {"url": url}) == {"url": url}


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "//example.com",
        "ftp://example.com",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://:80",
        "https://user@example.com",
        "https://user:secret@example.com",
        "https://@example.com",
        "https://exa mple.com",
        "https://example.com/a b",
        "https://example.com\n",
        " https://example.com",
        "https://example.com:port",
        "https://example.com:99999",
        "https://[::1",
        "https://[nope]/",
        "https://a<b>.example",
        "https://example.com\\@evil.example",
        "https://example.com/\0",
        "https://example.com/\ud800",
        "https://example.com/" + "a" * 1981,
        "https://example.com/" + "\u6f22" * 661,
    ],
)
def test_urls_that_cannot(url: str) -> None:
    assert refused(URL, url) == [("10003", "/url")]


def test_absent_members_stay_absent_or_have_their_defaults() -> None:
    assert cast([SIZE, ON], {"other": 1}) == {}
    assert with_defaults([SIZE, ON, NAME], {"on": "1"}) == {"size": 3, "on": True, "name": None}


@pytest.mark.parametrize("body", [None, [], "x", 7, True])
def test_bodies_that_are_no_objects(body: object) -> None:
    with pytest.raises(Invalid) as caught:
        cast([SIZE], body)
    assert [fault.code for fault in caught.value.faults] == ["10027"]


def test_uuids_in_either_case() -> None:
    assert parse_uuid("5CCC7B54-4df3-4bca-a65a-35a1ecc777f5") == "5ccc7b54-4df3-4bca-a65a-35a1ecc777f5"
    for wrong in ("", "5ccc7b544df34bcaa65a35a1ecc777f5", "5ccc7b54-4df3-4bca-a65a-35a1ecc777f5\n", "undefined"):
        assert parse_uuid(wrong) is None


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*(member.name for member in bodies.ROOM), "other"]), JSON_VALUES))
def test_whatever_comes_is_settings_or_named_faults(body: dict[str, Any]) -> None:
    known = [member.name for member in bodies.ROOM]
    try:
        settings = RoomSettings(**with_defaults(bodies.ROOM, body))  # type: ignore[arg-type]
    except Invalid as invalid:
        places = [str(fault.pointer).removeprefix("/") for fault in invalid.faults]
        assert places == [name for name in known if name in places], "in member order, each once"
        assert set(places) <= set(body)
        return
    assert 2 <= settings.max_participants <= 50
    assert type(settings.enable_recording) is bool
    assert settings.unique_name is None or 0 < len(settings.unique_name) <= 255
    for text in (settings.unique_name, settings.webhook_event_url, settings.webhook_event_failover_url):
        assert text is None or is_storable(text)
        assert text is None or text.encode() is not None


@given(st.integers(min_value=-(10**20), max_value=10**20))
def test_integers_and_their_text_are_the_same(number: int) -> None:
    def outcome(given: object) -> object:
        try:
            return cast([SIZE], {"size": given})
        except Invalid as invalid:
            return invalid.faults

    assert outcome(number) == outcome(str(number))
