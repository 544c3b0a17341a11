"""Scopes: how they are written, and what a key without them may do."""

import pytest

from portico.core.scopes import missing, parse


@pytest.mark.parametrize(
    ("text", "scopes"),
    [("", None), (" ", None), ("read", ("read",)), (" moderate , read,read", ("read", "moderate"))],
)
def test_what_scopes_are_written_as(text: str, scopes: tuple[str, ...] | None) -> None:
    assert parse(text) == scopes


@pytest.mark.parametrize("text", ["reed", "read,", "READ", "read rooms"])
def test_what_is_no_scope_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="Known are: read, rooms, moderate, recordings, nodes"):
        parse(text)


def test_any_of_the_sufficient_scopes_is_enough() -> None:
    assert missing(None, ["rooms"]) is None
    assert missing(("read",), []) is None
    assert missing(("read", "rooms"), ["rooms", "moderate"]) is None
    assert missing(("read",), ["rooms"]) == "The API key lacks the scope rooms: it has read."
    assert missing((), ["rooms", "read"]) == "The API key lacks the scope rooms or read: it has none."
