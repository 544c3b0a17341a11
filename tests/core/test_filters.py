"""Filters: every form by tables, and that a day is exactly its microseconds."""

import contextlib
import operator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.filters import Attribute, Condition, parse, parse_flags, parse_members

CREATED = Attribute("date_created_at", "created_at", "date", "")
NAME = Attribute("unique_name", "unique_name", "text", "")
ROOM = Attribute("room_id", "room_id", "uuid", "")
ACTIVE = Attribute("active", "active", "boolean", "")
ALL = (CREATED, NAME, ROOM, ACTIVE)
ID = "5ccc7b54-4df3-4bca-a65a-35a1ecc777f5"
FIRST = datetime(2021, 4, 25, tzinfo=UTC)
LAST = datetime(2021, 4, 25, 23, 59, 59, 999999, UTC)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("filter[unique_name]", "a b", [Condition("unique_name", "eq", "a b")]),
        ("filter[unique_name][eq]", "", [Condition("unique_name", "eq", "")]),
        ("filter[room_id]", ID.upper(), [Condition("room_id", "eq", ID)]),
        ("filter[active]", "true", [Condition("active", "eq", True)]),
        ("filter[active]", "0", [Condition("active", "eq", False)]),
        (
            "filter[date_created_at]",
            "2021-04-25",
            [Condition("created_at", "ge", FIRST), Condition("created_at", "le", LAST)],
        ),
        ("filter[date_created_at][gte]", "2021-04-25", [Condition("created_at", "ge", FIRST)]),
        ("filter[date_created_at][lte]", "2021-04-25", [Condition("created_at", "le", LAST)]),
        (
            "filter[date_created_at][lte]",
            "9999-12-31",
            [Condition("created_at", "le", datetime.max.replace(tzinfo=UTC))],
        ),
        ("filter[date_created_at]", "2021-04-25T00:00:00Z", [Condition("created_at", "eq", FIRST)]),
        ("filter[date_created_at]", "2021-04-25T02:00:00+02:00", [Condition("created_at", "eq", FIRST)]),
        ("filter[date_created_at][gte]", "2021-04-25T00:00", [Condition("created_at", "ge", FIRST)]),
        ("filter[date_created_at]", "2021-04-25 00:00", [Condition("created_at", "eq", FIRST)]),
        # A plus that is not percent-encoded is a blank in a query.
        ("filter[date_created_at]", "2021-04-25T01:00:00 01:00", [Condition("created_at", "eq", FIRST)]),
        ("filter[date_created_at]", "2021-04-25 01:00 0100", [Condition("created_at", "eq", FIRST)]),
        ("filter[date_created_at]", "2021-04-25T00:00:00.000 00:00", [Condition("created_at", "eq", FIRST)]),
        ("filter[date_created_at][lte]", "2021-04-25t23:59:59.999999z", [Condition("created_at", "le", LAST)]),
        ("include_sessions", "true", []),
        ("sort", "created_at", []),
    ],
)
def test_accepted(name: str, text: str, expected: list[Condition]) -> None:
    assert parse([(name, text)], ALL) == (tuple(expected), [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("filter[nope]", "1"),
        ("filter[uniquename]", "1"),
        ("filter[unique_name][contains]", "1"),
        ("filter[date_created_at][lt]", "2021-04-25"),
        ("filter[date_created_at][eq][eq]", "2021-04-25"),
        ("filter", "1"),
        ("filter[]", "1"),
        ("filter[unique_name", "1"),
        ("filter.unique_name", "1"),
        ("Filter[unique_name]", "1"),
        ("filters[unique_name]", "1"),
        (" filter[unique_name]", "1"),
        ("[filter][unique_name]", "1"),
        ("filter[date_created_at]", "2021-13-01"),
        ("filter[date_created_at]", "2021-02-30"),
        ("filter[date_created_at]", ""),
        ("filter[date_created_at]", "yesterday"),
        ("filter[date_created_at]", "20210425"),
        ("filter[date_created_at]", "2021-04-25T25:00"),
        ("filter[date_created_at]", "0001-01-01T00:00+23:00"),
        ("filter[date_created_at]", "\u0662021-04-25"),
        ("filter[room_id]", "x"),
        ("filter[active]", "yes"),
        ("filter[active]", ""),
        ("filter[unique_name]", "a\0"),
    ],
)
def test_refused(name: str, text: str) -> None:
    conditions, faults = parse([(name, text)], ALL)
    assert conditions == ()
    assert [(fault.code, fault.parameter) for fault in faults] == [("10031", name)]


def test_good_and_wrong_filters_together() -> None:
    given_filters = [("filter[a]", "1"), ("filter[active]", "1"), ("filter[room_id]", "2"), ("filter[active]", "0")]
    conditions, faults = parse(given_filters, ALL)
    assert [condition.value for condition in conditions] == [True, False]
    assert [fault.parameter for fault in faults] == ["filter[a]", "filter[room_id]"]


def test_flags() -> None:
    names = ("include_sessions", "include_participants")
    assert parse_flags([("include_sessions", "1"), ("include_participants", "false")], names) == (
        frozenset(["include_sessions"]),
        [],
    )
    chosen, faults = parse_flags([("include_sessions", "maybe")], names)
    assert (chosen, [fault.parameter for fault in faults]) == (frozenset(), ["include_sessions"])


@given(
    st.dates(),
    st.sampled_from(["eq", "gte", "lte"]),
    st.datetimes(timezones=st.just(UTC)),
    st.integers(-1, 1),
)
def test_a_day_is_what_the_calendar_says(day: date, asked: str, instant: datetime, near: int) -> None:
    with contextlib.suppress(OverflowError):  # next to the edges of the day, where mistakes live
        instant = datetime.combine(day, instant.time(), UTC) + timedelta(days=near)
    conditions, _ = parse([(f"filter[date_created_at][{asked}]", day.isoformat())], ALL)
    compare = {"ge": operator.ge, "le": operator.le}
    matches = all(compare[each.comparison](instant, each.value) for each in conditions)
    assert matches == {"eq": operator.eq, "gte": operator.ge, "lte": operator.le}[asked](instant.date(), day)


@given(st.text(), st.text())
def test_whatever_comes_never_widens_a_list(name: str, text: str) -> None:
    conditions, faults = parse([(f"filter{name}", text)], ALL)
    assert conditions or faults


STATUS = Attribute("status", "status", "choice", "", ("pending", "failed"))
TYPES = Attribute("event_type", "event_type", "texts", "")
PART = Attribute("webhook", "data", "part", "")
OF_DELIVERIES = (STATUS, TYPES, PART, CREATED, ROOM)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("filter[status][eq]", "failed", Condition("status", "eq", "failed")),
        ("filter[event_type]", "a", Condition("event_type", "in", ("a",))),
        ("filter[event_type]", "a,b", Condition("event_type", "in", ("a", "b"))),
        ("filter[event_type]", "," * 99, Condition("event_type", "in", ("",) * 100)),
        ("filter[webhook][contains]", "a,b", Condition("data", "contains", "a,b")),
    ],
)
def test_accepted_of_deliveries(name: str, text: str, expected: Condition) -> None:
    assert parse([(name, text)], OF_DELIVERIES) == ((expected,), [])


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("filter[status]", "lost", "10032"),
        ("filter[status][in]", "failed", "10031"),
        ("filter[event_type]", "a,\0", "10031"),
        ("filter[event_type]", "," * 100, "10031"),
        ("filter[webhook]", "a", "10031"),
        ("filter[webhook][contains]", "\ud800", "10031"),
    ],
)
def test_refused_of_deliveries(name: str, text: str, code: str) -> None:
    conditions, faults = parse([(name, text)], OF_DELIVERIES)
    assert (conditions, [(fault.code, fault.parameter) for fault in faults]) == ((), [(code, name)])


def test_a_body_asks_for_the_same() -> None:
    body = {"status": "failed", "date_created_at": {"gte": "2021-04-25", "lte": None}, "room_id": None}
    expected = (Condition("status", "eq", "failed"), Condition("created_at", "ge", FIRST))
    assert parse_members(body, OF_DELIVERIES) == (expected, [])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"nope": None}, "/nope"),
        ({"nope": {}}, "/nope"),
        ({"~/": "x"}, "/~0~1"),
        ({"status": 1}, "/status"),
        ({"status": ["failed"]}, "/status"),
        ({"status": {"gte": "failed"}}, "/status/gte"),
        ({"date_created_at": {"gte": {"gte": "2021-04-25"}}}, "/date_created_at/gte"),
        ({"date_created_at": "soon"}, "/date_created_at"),
    ],
)
def test_a_wrong_member_of_a_body_is_named(body: dict[str, object], pointer: str) -> None:
    conditions, faults = parse_members(body, OF_DELIVERIES)
    assert (conditions, [fault.pointer for fault in faults]) == ((), [pointer])
    assert all("filter[" not in fault.detail for fault in faults)


DURATION = Attribute("duration_secs", "duration_secs", "at_least", "")


@pytest.mark.parametrize("name", ["filter[duration_secs]", "filter[duration_secs][gte]"])
@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("60", 60), ("007", 7), ("9" * 30, 2**31 - 1)])
def test_at_least_so_many(name: str, text: str, expected: int) -> None:
    assert parse([(name, text)], [DURATION]) == ((Condition("duration_secs", "ge", expected),), [])
    assert parse_members({"duration_secs": text}, [DURATION])[0] == (Condition("duration_secs", "ge", expected),)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "x", " 1", "\u0661", "9" * 31])
def test_what_is_no_number_is_refused(text: str) -> None:
    conditions, faults = parse([("filter[duration_secs]", text)], [DURATION])
    assert (conditions, [(fault.code, fault.parameter) for fault in faults]) == (
        (),
        [("10031", "filter[duration_secs]")],
    )


@pytest.mark.parametrize("operator_asked", ["eq", "lte", "contains"])
def test_a_duration_is_only_compared_from_below(operator_asked: str) -> None:
    name = f"filter[duration_secs][{operator_asked}]"
    assert [fault.parameter for fault in parse([(name, "1")], [DURATION])[1]] == [name]
