"""The documentation says what the program does: every event has its line and its example."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from portico.core.events import Event

DOCS = Path(__file__).parents[1] / "docs"
EVENTS: dict[str, type[Event]] = {kind.event_type: kind for kind in get_args(Event)}


@pytest.fixture(scope="module")
def webhooks() -> str:
    return (DOCS / "webhooks.md").read_text()


def test_every_event_is_listed_and_no_other(webhooks: str) -> None:
    assert re.findall(r"^\| `(video\.[a-z.]+)` \|", webhooks, re.MULTILINE) == list(EVENTS)


@pytest.mark.parametrize("event_type", EVENTS)
def test_every_event_has_an_example_with_all_members_of_its_payload(webhooks: str, event_type: str) -> None:
    examples: list[dict[str, Any]] = [
        json.loads(block)
        for block in re.findall(r"^```json\n(\{\"event_type\".*?)^```", webhooks, re.DOTALL | re.MULTILINE)
    ]
    (payload,) = [each["payload"] for each in examples if each["event_type"] == event_type]
    assert list(payload) == [field.name for field in fields(EVENTS[event_type])]


def test_every_test_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (DOCS / "security.md").read_text())
    assert len(named) > 50
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (Path(__file__).parent / path).is_file()
        or not re.search(rf"^\s*(?:async )?def {name}\b", (Path(__file__).parent / path).read_text(), re.MULTILINE)
    ]
    assert missing == []
