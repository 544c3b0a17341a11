"""The documentation has every setting, event, command, option, metric, close code and endpoint, and no other."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from portico.api.app import document
from portico.cli.main import app
from portico.config.settings import Settings
from portico.core.events import Event
from portico.signaling.effects import CloseCode
from tests.networks.scenarios import SCENARIOS, WITHOUT_RELAY

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EVENTS: dict[str, type[Event]] = {kind.event_type: kind for kind in get_args(Event)}
ROUTE = re.compile(r"""(?:[Rr]oute|get|post|head)\(\s*"(/[^"]*)"|[^f]"(/\w+/\{\w+(?::path)?\})\"""")
"""A path as the first argument of a route, or with a parameter in it; paths are literal texts everywhere."""
PATHS_OF_API = set(document()["paths"])


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


def test_every_setting_is_listed_and_no_other() -> None:
    rows = re.findall(r"^\| (`PORTICO_[^|]*) \|", (DOCS / "settings.md").read_text(), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`PORTICO_([A-Z0-9_]+)`", row)]
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def test_every_close_code_is_listed_and_no_other() -> None:
    text = (DOCS / "signaling.md").read_text()
    listed = {name: int(code) for code, name in re.findall(r"^\| (\d{4}) \| `([A-Z_]+)` ", text, re.MULTILINE)}
    assert listed == {code.name: int(code) for code in CloseCode}


def test_every_command_is_listed_with_its_options_and_no_other() -> None:
    text = (DOCS / "commands.md").read_text()
    rows = re.findall(r"^\| `portico ([a-z -]+?)(?: \[?[A-Z_]+\]?)?` \|([^|]*)\|", text, re.MULTILINE)
    listed = {command: set(re.findall(r"`(--[a-z-]+)`", options)) for command, options in rows}
    for command in ("serve", "api", "worker", "media"):
        listed[command] = set()  # its options are the settings
    assert listed == dict(_commands(typer.main.get_command(app), ""))


def _commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    """Every command with its options, without --help and without those that are settings."""
    if hasattr(command, "commands"):
        for word, each in command.commands.items():
            yield from _commands(each, f"{name} {word}".strip())
    else:
        options = [option for option in command.params if option.param_type_name == "option"]
        if name in ("serve", "api", "worker", "media", "doctor"):
            options = [option for option in options if option.name not in Settings.model_fields]
        yield name, {word for option in options for word in option.opts}


def test_every_metric_is_listed_and_no_other() -> None:
    sources = [file.read_text() for file in (ROOT / "portico").rglob("*.py")]
    made = {
        name for text in sources if "CollectorRegistry" in text for name in re.findall(r'"(portico_[a-z0-9_]+)"', text)
    }
    assert len(made) > 10
    rows = re.findall(r"^\| (`portico_[^|]*) \|", (DOCS / "operating.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(portico_[a-z0-9_]+)`", row)} == made


def test_every_operation_of_the_api_is_listed_and_no_other() -> None:
    text = (DOCS / "api.md").read_text()
    listed = re.findall(r"^\| `((?:GET|POST|PATCH|PUT|DELETE) /v2/[^`]*)` \|", text, re.MULTILINE)
    assert listed == [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]


def paths_outside_the_api() -> set[str]:
    files = [file for file in (ROOT / "portico").rglob("*.py") if "cli" not in file.parts]
    found = [path for file in files for paths in ROUTE.findall(file.read_text()) for path in paths if path]
    return {path.replace(":path}", "}") for path in found if f"/v2{path}" not in PATHS_OF_API}


def test_every_path_outside_the_api_is_listed() -> None:
    text = (DOCS / "api.md").read_text()
    outside = paths_outside_the_api()
    assert {"/healthz", "/connect.js", "/{room_id}/janus", "/files/{key}"} <= outside
    assert {path for path in outside if f"`{path}`" not in text} == set()


def test_every_source_that_the_documentation_names_exists() -> None:
    """`signaling/policy.py` is below `portico`, `tests/test_docs.py` below the checkout."""
    named = {name for page in DOCS.glob("*.md") for name in re.findall(r"`((?:[\w]+/)+\w+\.py)`", page.read_text())}
    assert len(named) > 20
    assert [
        name for name in sorted(named) if not any((ROOT / below / name).is_file() for below in ("", "portico"))
    ] == []


def test_every_link_between_pages_leads_to_a_heading() -> None:
    pages = {page.name: page.read_text() for page in [*DOCS.glob("*.md"), *ROOT.glob("*.md")]}
    links = {link for text in pages.values() for link in re.findall(r"\]\((?:docs/)?([\w-]+\.md#[^)]+)\)", text)}
    links |= {f"{name}{link}" for name, text in pages.items() for link in re.findall(r"\]\((#[^)]+)\)", text)}
    assert len(links) > 5
    assert [
        link for link in sorted(links) if link.partition("#")[2] not in _anchors(pages[link.partition("#")[0]])
    ] == []


def _anchors(page: str) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


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


def test_every_package_is_in_the_architecture_and_no_other() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "portico").glob("*/__init__.py"))


def test_the_table_of_networks_has_each_that_is_tested_and_its_path() -> None:
    row = r"^\| ([^|]+) \| ((?:direct|relay) over [^|]+) \| [\d.]+ s \| [\d.]+ s \|$"
    rows = re.findall(row, (DOCS / "networks.md").read_text(), re.MULTILINE)
    tested = (*SCENARIOS, WITHOUT_RELAY)
    assert [network for network, _ in rows] == [scenario.description for scenario in tested]
    for (_, paths), scenario in zip(rows, tested, strict=True):
        assert set(paths.split("; ")) <= set(scenario.routes)
