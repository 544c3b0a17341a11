"""Filters and flags of list queries: filter[attribute][operator]=value into conditions (contract section 1.6)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

from portico.core.casting import is_storable, parse_truth, parse_uuid
from portico.core.errors import Fault

Kind = Literal["date", "text", "uuid", "boolean"]
Comparison = Literal["eq", "ge", "le"]

_PARAMETER = re.compile(r"filter\[([a-z_]+)\](?:\[([a-z_]+)\])?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_COMPARISONS: dict[str, Comparison] = {"eq": "eq", "gte": "ge", "lte": "le"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that a list can be filtered by, and the column it stands for."""

    name: str
    column: str
    kind: Kind
    description: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column must satisfy; null satisfies nothing."""

    column: str
    comparison: Comparison
    value: str | bool | datetime


class _Wrong(Exception):
    """str() is the sentence for the caller."""


def parse(
    parameters: Iterable[tuple[str, str]], attributes: Sequence[Attribute]
) -> tuple[tuple[Condition, ...], list[Fault]]:
    """All conditions of a query, to be joined by AND, and every wrong filter.

    Whatever looks like a filter and is none of `attributes` is wrong: ignoring a misspelt filter widens the result.
    """
    known = {attribute.name: attribute for attribute in attributes}
    conditions: list[Condition] = []
    faults = []
    for name, text in parameters:
        if not name.lower().startswith("filter"):
            continue
        try:
            conditions.extend(_conditions(name, text, known))
        except _Wrong as wrong:
            faults.append(Fault("10031", "Invalid request filter", str(wrong), parameter=name))
    return tuple(conditions), faults


def parse_flags(parameters: Iterable[tuple[str, str]], names: Sequence[str]) -> tuple[frozenset[str], list[Fault]]:
    """Which of the include flags are on; of a repeated flag the last one counts."""
    given = dict(parameters)
    asked = {name: parse_truth(given[name]) for name in names if name in given}
    faults = [
        Fault("10026", "Invalid parameter type", f"{name} should be true or false.", parameter=name)
        for name, truth in asked.items()
        if truth is None
    ]
    return frozenset(name for name, truth in asked.items() if truth), faults


def _conditions(parameter: str, text: str, known: dict[str, Attribute]) -> list[Condition]:
    match = _PARAMETER.fullmatch(parameter)
    attribute = known.get(match[1]) if match else None
    if match is None or attribute is None:
        raise _Wrong(f"There is no such filter here. Known are: {', '.join(known)}.")
    operator = match[2] or "eq"
    operators = list(_COMPARISONS) if attribute.kind == "date" else ["eq"]
    if operator not in operators:
        raise _Wrong(f"filter[{attribute.name}] knows only the operators {', '.join(operators)}.")
    if attribute.kind == "date":
        return _instants(attribute, _COMPARISONS[operator], text)
    return [Condition(attribute.column, "eq", _exact(attribute, text))]


def _exact(attribute: Attribute, text: str) -> str | bool:
    match attribute.kind:
        case "uuid":
            value: str | bool | None = parse_uuid(text)
            expected = "a UUID"
        case "boolean":
            value = parse_truth(text)
            expected = "true or false"
        case _:
            value = text if is_storable(text) else None
            expected = "text without control character NUL"
    if value is None:
        raise _Wrong(f"filter[{attribute.name}] should be {expected}.")
    return value


def _instants(attribute: Attribute, comparison: Comparison, text: str) -> list[Condition]:
    """A calendar day is the interval from its first to its last microsecond in UTC; a date-time is itself."""
    column = attribute.column
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            first = Condition(column, "ge", datetime.combine(day, time.min, UTC))
            last = Condition(column, "le", datetime.combine(day, time.max, UTC))
            return {"eq": [first, last], "ge": [first], "le": [last]}[comparison]
        if _DATE_TIME.fullmatch(text):
            instant = datetime.fromisoformat(text.upper())
            aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
            return [Condition(column, comparison, aware)]
    except (ValueError, OverflowError):  # the thirteenth month; an offset that leads before the year 1
        pass
    raise _Wrong(f"filter[{attribute.name}] should be a date like 2021-04-25 or an ISO 8601 date-time.")
