"""schemathesis makes requests from our own document, right and wrong ones: no fault of ours, nothing undocumented."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from requests import Session

from portico.api.app import document
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import api_keys, compositions, nodes, tokens
from portico.services.api_keys import DEFAULT_ACCOUNT
from portico.services.nodes import NodeAddress
from tests.api.serving import Served, serving
from tests.factories import NOW, a_participant, a_room, an_account
from tests.recorded import a_recording

if TYPE_CHECKING:
    from schemathesis import Case

EXAMPLES = settings().max_examples // 10  # fewer in script/test fast
"""Right requests for each operation, and as many wrong ones: what a test run can pay."""
LABELS = [f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item]
"""What schemathesis calls our operations. It is imported by the tests: that takes a second in each process."""


@cache
def operations() -> dict[str, Any]:
    """By method and path: schemathesis' own, which has more type arguments than there is to say about."""
    import schemathesis

    config = schemathesis.Config.from_dict({"warnings": False})
    loaded = schemathesis.openapi.from_dict(document(), config=config)
    found: list[Any] = [operation.ok() for operation in loaded.get_all_operations()]  # type: ignore[union-attr]
    by_label = {operation.label: operation for operation in found}
    assert sorted(by_label) == sorted(LABELS)
    return by_label


@cache
def checks() -> list[Any]:
    """Those of schemathesis that each answer has to pass."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]


@dataclass(frozen=True, slots=True)
class Real:
    """Identifiers of things that are there: one of each, of one session, by the names that requests give them."""

    ids: dict[str, str]
    refresh_token: str

    def put_into(self, case: "Case[Any]") -> None:
        """Let this request be about them, wherever it names anything."""
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self.ids[name.removeprefix("room_") if name != "room_id" else name]
        for name in case.query or {}:
            if (plain := name.removeprefix("filter[").removesuffix("]")) in self.ids:
                case.query[name] = self.ids[plain]
        if isinstance(case.body, dict):
            case.body = self._body(case.body)

    def _body(self, given: dict[str, Any]) -> dict[str, Any]:
        ours: dict[str, Any] = {
            "session_id": self.ids["session_id"],
            "node_id": self.ids["node_id"],
            "refresh_token": self.refresh_token,
            "participants": [self.ids["participant_id"]],
            "video_layout": {"main": {"width": 640, "height": 360, "video_sources": [self.ids["recording_id"]]}},
        }
        return {name: ours.get(name, value) for name, value in given.items()}


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all operations; what some leave is what others find."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("schemathesis") / "portico.db")
    with serving(f"sqlite:///{path}") as running:
        yield running


@pytest.fixture(scope="module")
def session(served: Served) -> Iterator[Session]:
    with Session() as opened:
        opened.headers["Authorization"] = f"Bearer {served.run(served.world.db.write(make_key))}"
        yield opened


def make_key(tx: Transaction) -> str:
    """A key of the operator's account: others may not see media nodes."""
    return api_keys.create(tx, DEFAULT_ACCOUNT, NOW)


def make_real(served: Served) -> Real:
    """A room with a session, a participant in it, a recording, a composition, a webhook, and a token; a node."""
    world = served.world

    def make(tx: Transaction) -> Real:
        now = world.clock()
        account_id = an_account(tx, DEFAULT_ACCOUNT)
        room_id = a_room(tx, account=DEFAULT_ACCOUNT, now=now, webhook_event_url="http://127.0.0.1:1/")
        person = a_participant(tx, room_id, now=now)
        body = {"session_id": person.session_id}
        composition = compositions.create(tx, account_id, body, regions_max=9, sound_by_default=True, now=now)
        delivery = tx.execute(
            schema.webhook_deliveries.select().where(schema.webhook_deliveries.c.room_id == room_id)
        ).first()
        assert delivery is not None
        token = tokens.generate(tx, world.keys, account_id, room_id, token_ttl_secs=600, now=now)
        ids = {
            "room_id": room_id,
            "session_id": person.session_id,
            "participant_id": person.participant_id,
            "recording_id": a_recording(tx, person.participant_id, now=now),
            "composition_id": composition.id,
            "webhook_delivery_id": delivery.id,
            "node_id": "6b1f0d9a3c5e7f21",
        }
        nodes.register(tx, ids["node_id"], NodeAddress("ws://10.0.0.5:8188", None, "key", None, "/mjr", None), now=now)
        assert token.refresh_token is not None
        return Real(ids, token.refresh_token)

    return served.run(world.db.write(make))


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("label", LABELS)
def test_every_answer_is_documented(
    label: str, mode: Literal["positive", "negative"], served: Served, session: Session
) -> None:
    from schemathesis import GenerationMode

    operation = operations()[label]
    called = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(GenerationMode(mode)), st.booleans())
    def call(case: "Case[Any]", is_about_real_things: bool) -> None:
        nonlocal called
        if is_about_real_things:
            make_real(served).put_into(case)
        answer = case.call_and_validate(served.base_url, session, checks=checks())
        called += 1
        if is_about_real_things and mode == "positive":
            assert answer.status_code not in (401, 403, 404)

    try:
        call()
    except Unsatisfiable:
        assert mode == "negative" and not (operation.body or operation.query or operation.path_parameters)
    else:
        assert called >= min(EXAMPLES, 2)
