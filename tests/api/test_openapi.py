"""The published document and its page: complete, valid, and free of anything that would be loaded from elsewhere."""

import json
import re
from html.parser import HTMLParser
from typing import Any

from jsonschema import Draft202012Validator

from portico.api.app import document
from portico.api.reference import curl
from tests.api.world import World
from tests.contract.schemas import official

OPERATIONS = {
    ("get", "/rooms"),
    ("post", "/rooms"),
    ("get", "/rooms/{room_id}"),
    ("patch", "/rooms/{room_id}"),
    ("delete", "/rooms/{room_id}"),
    ("get", "/rooms/{room_id}/sessions"),
    ("post", "/rooms/{room_id}/actions/generate_join_client_token"),
    ("post", "/rooms/{room_id}/actions/refresh_client_token"),
    ("get", "/room_sessions"),
    ("get", "/room_sessions/{room_session_id}"),
    ("get", "/room_sessions/{room_session_id}/participants"),
    ("get", "/room_participants"),
    ("get", "/room_participants/{room_participant_id}"),
    ("get", "/room_recordings"),
    ("delete", "/room_recordings"),
    ("get", "/room_recordings/{room_recording_id}"),
    ("delete", "/room_recordings/{room_recording_id}"),
    ("get", "/room_compositions"),
    ("post", "/room_compositions"),
    ("get", "/room_compositions/{room_composition_id}"),
    ("delete", "/room_compositions/{room_composition_id}"),
}
BEYOND = {
    ("get", "/webhook_deliveries"),
    ("get", "/webhook_deliveries/{webhook_delivery_id}"),
    ("post", "/webhook_deliveries/{webhook_delivery_id}/actions/replay"),
    ("post", "/webhook_deliveries/actions/replay"),
    ("get", "/public_key"),
    ("get", "/audit_events"),
    ("get", "/media_nodes"),
    ("post", "/media_nodes/actions/drain"),
    ("post", "/media_nodes/actions/resume"),
    ("post", "/media_nodes/actions/remove"),
    ("post", "/room_participants/{room_participant_id}/actions/erase"),
    ("post", "/rooms/{room_id}/actions/generate_meeting_link"),
}
"""Not in the specification of the Video API: two of another part of the hosted API, then ours."""
ACTIONS = {("post", f"/room_sessions/{{room_session_id}}/actions/{name}") for name in ("end", "kick", "mute", "unmute")}


def operations() -> dict[tuple[str, str], dict[str, object]]:
    return {
        (method, path.removeprefix("/v2")): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    }


def test_every_operation_is_described_under_its_official_name() -> None:
    ours = operations()
    assert set(ours) == OPERATIONS | BEYOND | ACTIONS
    for (method, path), operation in ours.items():
        if (method, path) not in BEYOND:
            assert operation["operationId"] == official()["paths"][path][method]["operationId"]
        assert operation["summary"] and operation["description"]


def test_every_schema_is_a_schema_and_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    for name in set(re.findall(r'"#/components/schemas/(\w+)"', text)):
        assert name in document()["components"]["schemas"]
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_bodies_are_described_with_limits_and_defaults() -> None:
    body = operations()["post", "/rooms"]["requestBody"]
    properties = body["content"]["application/json"]["schema"]["properties"]  # type: ignore[index]
    limit = properties["max_participants"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (2, 50, 10)
    theirs = official()["components"]["schemas"]["CreateRoomRequest"]["properties"]
    assert set(properties) == set(theirs)


def test_every_answer_of_every_operation_documents_the_rate_limit() -> None:
    names = {f"x-ratelimit-{name}" for name in ("limit", "remaining", "reset")}
    assert set(document()["components"]["headers"]) == names
    for operation in operations().values():
        answers: dict[str, dict[str, Any]] = operation["responses"]  # type: ignore[assignment]
        assert {"429", "500", "503"} <= set(answers)
        for status, answer in answers.items():
            declared = answer["headers"]
            assert all(declared[name] == {"$ref": f"#/components/headers/{name}"} for name in names)
            assert ("Retry-After" in declared) is (status in ("429", "503"))


def test_only_refreshing_needs_no_key() -> None:
    public = [path for (_, path), operation in operations().items() if operation.get("security") == []]
    assert public == ["/rooms/{room_id}/actions/refresh_client_token"]
    assert document()["security"] == [{"bearerAuth": []}]


async def test_the_document_is_served(sqlite_world: World) -> None:
    answer = await sqlite_world.anonymous.get("/openapi.json")
    assert answer.json() == json.loads(json.dumps(document()))
    assert "servers" not in answer.json()  # this application knows no address of its own
    assert answer.json()["openapi"] == "3.1.0"
    assert (await sqlite_world.anonymous.head("/openapi.json")).status_code == 200


async def test_a_caller_that_changes_the_document_changes_a_copy(sqlite_world: World) -> None:
    """What is served stays as it is, for instance when an example is taken from the document and filled in."""
    changed = document()
    changed["paths"]["/v2/rooms"]["post"]["requestBody"]["content"]["application/json"]["schema"].clear()
    changed["components"]["schemas"].clear()
    assert (await sqlite_world.anonymous.get("/openapi.json")).json() == json.loads(json.dumps(document()))
    assert document()["components"]["schemas"]
    test_bodies_are_described_with_limits_and_defaults()


class Reader(HTMLParser):
    """Collects what a page would load, its anchors and its links into itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.anchors: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loaded.append(tag)
        if "id" in given:
            self.anchors.append(given["id"] or "")
        if tag == "a" and (given.get("href") or "").startswith("#"):
            self.links.append((given["href"] or "")[1:])


async def test_the_page_shows_everything_and_loads_nothing(sqlite_world: World) -> None:
    answer = await sqlite_world.anonymous.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    reader = Reader()
    reader.feed(answer.text)
    assert reader.loaded == []
    assert "url(" not in answer.text and "@import" not in answer.text
    assert set(reader.links) <= set(reader.anchors)
    assert len(reader.anchors) == len(set(reader.anchors))
    for operation in operations().values():
        assert operation["operationId"] in reader.anchors
    for member in ("max_participants", "filter[date_left_at][gte]", "refresh_token_ttl_secs", "page[size]"):
        assert member in answer.text


def test_examples_are_commands() -> None:
    create = document()["paths"]["/v2/rooms"]["post"]
    shown = curl(document(), "post", "/v2/rooms", create)
    assert shown.startswith('curl -X POST "$PORTICO/v2/rooms" \\\n  -H "Authorization: Bearer $KEY"')
    assert json.loads(shown.partition("-d '")[2].rstrip("'"))["max_participants"] == 10
    refresh = "/v2/rooms/{room_id}/actions/refresh_client_token"
    shown = curl(document(), "post", refresh, document()["paths"][refresh]["post"])
    assert "Authorization" not in shown and "$ROOM_ID" in shown
