"""The log of deliveries: whose they are, every filter, a bounded number of queries, and replaying in steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from portico.core.errors import NotFound
from portico.core.filters import Condition
from portico.core.paging import Page
from portico.db.engine import Database, Transaction
from portico.services import webhook_log, webhooks
from portico.services.webhook_log import LISTED_ATTEMPTS, Logged
from portico.services.webhooks import DELIVERIES
from tests.factories import NOW, a_participant, a_room, an_account, rows

URL = "http://127.0.0.1:1/hook"
SECOND = timedelta(seconds=1)


def deliveries(tx: Transaction, *contexts: str | None, account: str = "default") -> list[str]:
    """A room with a webhook that these people join: the ids of what is to be delivered, oldest first."""
    room_id = a_room(tx, account=account, webhook_event_url=URL, max_participants=50)
    for context in contexts:
        a_participant(tx, room_id, context=context)
    return [row.id for row in sorted(rows(tx, DELIVERIES, room_id=room_id), key=lambda row: int(row.seq))]


def attempt(tx: Transaction, delivery_id: str, number: int = 1, **chosen: Any) -> None:
    """One failed request, after as many seconds."""
    values: dict[str, Any] = {
        "url": URL,
        "started_at": NOW + number * SECOND,
        "finished_at": NOW + (number + 0.5) * SECOND,
        "delivered": False,
        "status_code": 500,
        "error": "answered 500",
        "request_headers": {"content-type": "application/json"},
        "response_headers": {"server": "Nginx"},
        "response_body": "out of \u00e4pples",
    }
    webhooks.record_attempt(tx, delivery_id, number=number, **(values | chosen))


def conclude(tx: Transaction, delivery_id: str, *, delivered: bool = False) -> None:
    """It arrived, or is given up."""
    webhooks.conclude_round(tx, delivery_id, delivered=delivered, next_due=None, now=NOW + 60 * SECOND)


def found(tx: Transaction, *conditions: Condition, account: str = "default") -> list[str]:
    listed = webhook_log.list_deliveries(tx, an_account(tx, account), Page(), conditions)
    return [each.delivery.id for each in listed.items]


async def test_an_account_sees_its_own_only(database: Database) -> None:
    def check(tx: Transaction) -> None:
        ours, theirs = deliveries(tx, None), deliveries(tx, None, account="other")
        assert sorted(found(tx)) == sorted(ours)
        assert sorted(found(tx, account="other")) == sorted(theirs)
        assert webhook_log.list_deliveries(tx, None, Page()).total_results == len(ours + theirs)
        assert webhook_log.retrieve_delivery(tx, None, theirs[0]).delivery.id == theirs[0]
        with pytest.raises(NotFound):
            webhook_log.retrieve_delivery(tx, an_account(tx), theirs[0])

    await database.write(check)


@pytest.mark.parametrize(
    "condition",
    [
        Condition("status", "eq", "failed"),
        Condition("event_type", "in", ("video.room.participant.joined", "nothing")),
        Condition("started_at", "ge", NOW + SECOND),
        Condition("finished_at", "le", NOW + 60 * SECOND),
        Condition("data", "contains", "Zo\u00eb"),
        Condition("data", "contains", '"context":"Zo\\u00eb %_"'),
        Condition("attempts", "contains", "out of \u00e4"),
        Condition("attempts", "contains", "Nginx"),
        Condition("attempts", "contains", "500"),
        Condition("attempts", "contains", "127.0.0.1:1/h"),
    ],
    ids=str,
)
async def test_each_filter_finds_the_one(database: Database, condition: Condition) -> None:
    def check(tx: Transaction) -> None:
        _, joined = deliveries(tx, "Zo\u00eb %_")
        attempt(tx, joined)
        conclude(tx, joined)
        assert found(tx, condition) == [joined]

    await database.write(check)


@pytest.mark.parametrize("text", ["zo\u00eb", "Zo_", "%", "nginx", "'", "x\\"])
async def test_text_is_found_as_it_is_and_in_its_case(database: Database, text: str) -> None:
    def check(tx: Transaction) -> None:
        attempt(tx, deliveries(tx, "Zo\u00eb")[1])
        assert found(tx, Condition("data", "contains", text)) == []
        assert found(tx, Condition("attempts", "contains", text)) == []

    await database.write(check)


async def test_the_newest_attempts_come_first_and_lists_show_a_few(database: Database) -> None:
    def check(tx: Transaction) -> None:
        first, second = deliveries(tx, None)
        for number in range(1, LISTED_ATTEMPTS + 3):
            attempt(tx, first, number)
        attempt(tx, second)
        listed = webhook_log.list_deliveries(tx, an_account(tx), Page())
        by_id = {each.delivery.id: numbers(each) for each in listed.items}
        assert by_id == {first: list(range(12, 2, -1)), second: [1]}
        assert numbers(webhook_log.retrieve_delivery(tx, an_account(tx), first)) == list(range(12, 0, -1))

    await database.write(check)


async def test_a_page_takes_three_queries_however_long_it_is(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for delivery_id in deliveries(tx, *map(str, range(20))):
            attempt(tx, delivery_id)
        with counted(tx) as statements:
            assert len(webhook_log.list_deliveries(tx, an_account(tx), Page()).items) == 20
        assert len([each for each in statements if "webhook" in each]) == 3

    await database.write(check)


async def test_replay_goes_on_in_steps_and_takes_nothing_twice(database: Database) -> None:
    failed = Condition("status", "eq", "failed")

    def fail_all(tx: Transaction) -> list[str]:
        made = deliveries(tx, *map(str, range(6)))
        for delivery_id in made[:5]:
            attempt(tx, delivery_id)
            conclude(tx, delivery_id)
        conclude(tx, deliveries(tx, None, account="other")[0])
        return made

    made = await database.write(fail_all)
    account = await database.write(an_account)
    later = NOW + timedelta(hours=1)

    def step(tx: Transaction, after: int) -> tuple[int, int | None]:
        ids, last = webhook_log.next_matching(tx, account, [failed], now=later, after=after, limit=2)
        return webhook_log.replay_each(tx, account, ids, [failed], now=later), last

    first, after = await database.write(partial(step, after=0))
    assert first == 2 and after is not None
    await database.write(lambda tx: conclude(tx, made[0]))  # it failed again meanwhile
    second, after = await database.write(partial(step, after=after))
    assert second == 2 and after is not None
    assert await database.write(partial(step, after=after)) == (1, None)
    states = {row.id: (row.status, row.rounds) for row in await database.read(lambda tx: rows(tx, DELIVERIES))}
    assert states[made[0]] == ("failed", 1)
    assert {states[each] for each in made[1:]} == {("pending", 0)}
    assert list(states.values()).count(("failed", 1)) == 2, "that one, and the other account's"


def numbers(logged: Logged) -> list[int]:
    return [each.number for each in logged.attempts]


@contextmanager
def counted(tx: Transaction) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    statements: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(tx, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(tx, "before_cursor_execute", note)
