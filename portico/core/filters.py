"""Filters and flags of list queries: filter[attribute][operator]=value into conditions (contract section 1.6)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal

from portico.core.casting import is_storable, parse_truth, parse_uuid
from portico.core.errors import Fault

FilterKind = Literal["date", "text", "uuid", "boolean", "choice", "texts", "part", "at_least"]
"""`choice` is one of a few words, `texts` any of several separated by commas, `part` a text contained in the column,
`at_least` a whole number that the column reaches."""
Comparison = Literal["eq", "ge", "le", "in", "contains"]

_PARAMETER = re.compile(r"filter\[([a-z_]+)\](?:\[([a-z_]+)\])?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)([Zz]|[ +-][0-9]{2}:?[0-9]{2})?"
)
"""Date and time, and the offset. A blank in front of it is a plus that the caller did not percent-encode."""
_WHOLE = re.compile(r"[0-9]{1,30}")
_TEXTS_MAX = 100
"""Texts in one filter: more than there are event types. A query with thousands is slow, or the database refuses it."""
_PART_LENGTH_MAX = 250
_LARGEST = 2**31 - 1  # what a column of integers holds; nothing of ours is larger
_COMPARISONS: dict[str, Comparison] = {"eq": "eq", "gte": "ge", "lte": "le"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that a list can be filtered by, and the column that it is read from."""

    name: str
    column: str
    kind: FilterKind
    description: str
    choices: tuple[str, ...] = ()
    shows_operator: bool = False
    """Whether the document names it with its operator, as the hosted API does for some attributes."""

    @property
    def operators(self) -> list[str]:
        """The operators that may stand in brackets behind the name."""
        special = {"date": list(_COMPARISONS), "part": ["contains"], "at_least": ["gte"]}
        return special.get(self.kind, ["eq"])

    @property
    def default_operator(self) -> str:
        """The operator of a filter without one. `contains` is never a default, so that no search is made by mistake."""
        return "gte" if self.kind == "at_least" else "eq"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the value of a column must satisfy; null satisfies no condition."""

    column: str
    comparison: Comparison
    value: str | bool | int | datetime | tuple[str, ...]


class _Wrong(Exception):
    """A filter is wrong; str() is the sentence for the caller."""

    def __init__(self, detail: str, code: str = "10031", title: str = "Invalid request filter") -> None:
        super().__init__(detail)
        self.code, self.title = code, title


def parse(
    parameters: Iterable[tuple[str, str]], attributes: Sequence[Attribute]
) -> tuple[tuple[Condition, ...], list[Fault]]:
    """All conditions of a query, to be joined by AND, and every wrong filter.

    A parameter that looks like a filter and names none of `attributes` is wrong: to ignore it would widen the result.
    """
    known = {attribute.name: attribute for attribute in attributes}
    conditions: list[Condition] = []
    faults = []
    for name, text in parameters:
        if "filter" not in name.lower():
            continue
        try:
            match = _PARAMETER.fullmatch(name)
            attribute = _known(match[1] if match else "", known)
            operator = (match and match[2]) or attribute.default_operator
            conditions.extend(_conditions(f"filter[{attribute.name}]", attribute, operator, text))
        except _Wrong as wrong:
            faults.append(Fault(wrong.code, wrong.title, str(wrong), parameter=name))
    return tuple(conditions), faults


def parse_members(
    body: Mapping[str, object], attributes: Sequence[Attribute]
) -> tuple[tuple[Condition, ...], list[Fault]]:
    """Conditions in a body `{"attribute": "value", "other": {"gte": "value"}}`, and the wrong ones; null is ignored."""
    known = {attribute.name: attribute for attribute in attributes}
    conditions: list[Condition] = []
    faults = []
    for name, given in body.items():
        nested = isinstance(given, Mapping) and name in known
        for operator, value in given.items() if isinstance(given, Mapping) and nested else [(None, given)]:
            try:
                conditions.extend(_of_member(name, operator, value, known))
            except _Wrong as wrong:
                steps = [name] if operator is None else [name, operator]
                pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
                faults.append(Fault(wrong.code, wrong.title, str(wrong), pointer=pointer))
    return tuple(conditions), faults


def parse_flags(parameters: Iterable[tuple[str, str]], names: Sequence[str]) -> tuple[frozenset[str], list[Fault]]:
    """The names of the include flags that are true; of a repeated flag the last one counts."""
    given = dict(parameters)
    asked = {name: parse_truth(given[name]) for name in names if name in given}
    faults = [
        Fault("10026", "Invalid parameter type", f"{name} should be true or false.", parameter=name)
        for name, truth in asked.items()
        if truth is None
    ]
    return frozenset(name for name, truth in asked.items() if truth), faults


def _known(name: str, known: Mapping[str, Attribute]) -> Attribute:
    if name not in known:
        raise _Wrong(f"There is no such filter here. Known are: {', '.join(known)}.")
    return known[name]


def _of_member(name: str, operator: str | None, value: object, known: Mapping[str, Attribute]) -> list[Condition]:
    attribute = _known(name, known)
    if value is None:
        return []
    if not isinstance(value, str):
        raise _Wrong(f"{name} should be a string.", "10026", "Invalid parameter type")
    return _conditions(name, attribute, operator or attribute.default_operator, value)


def _conditions(label: str, attribute: Attribute, operator: str, text: str) -> list[Condition]:
    """Read the conditions of one filter. `label` names the attribute in messages, as the caller wrote it."""
    if operator not in attribute.operators:
        raise _Wrong(f"{label} knows only the operators {', '.join(attribute.operators)}.")
    match attribute.kind:
        case "date":
            return _instants(label, attribute, _COMPARISONS[operator], text)
        case "texts":
            wanted = tuple(_storable(label, each) for each in text.split(",", _TEXTS_MAX))
            if len(wanted) > _TEXTS_MAX:
                raise _Wrong(f"{label} should name at most {_TEXTS_MAX}, separated by commas.")
            return [Condition(attribute.column, "in", wanted)]
        case "part":
            if len(text) > _PART_LENGTH_MAX:
                raise _Wrong(f"{label} should have at most {_PART_LENGTH_MAX} characters.")
            return [Condition(attribute.column, "contains", _storable(label, text))]
        case "at_least":
            if not _WHOLE.fullmatch(text):
                raise _Wrong(f"{label} should be a whole number from 0 on.")
            return [Condition(attribute.column, "ge", min(int(text), _LARGEST))]
        case _:
            return [Condition(attribute.column, "eq", _exact(label, attribute, text))]


def _exact(label: str, attribute: Attribute, text: str) -> str | bool:
    match attribute.kind:
        case "uuid":
            value: str | bool | None = parse_uuid(text)
            expected = "a UUID"
        case "boolean":
            value = parse_truth(text)
            expected = "true or false"
        case "choice":
            if text not in attribute.choices:
                detail = f"{label} should be one of: {', '.join(attribute.choices)}."
                raise _Wrong(detail, "10032", "Invalid enumerated value")
            return text
        case _:
            return _storable(label, text)
    if value is None:
        raise _Wrong(f"{label} should be {expected}.")
    return value


def _storable(label: str, text: str) -> str:
    if not is_storable(text):
        raise _Wrong(f"{label} should be text without control character NUL.")
    return text


def _instants(label: str, attribute: Attribute, comparison: Comparison, text: str) -> list[Condition]:
    """The conditions of a filter by date. A day lasts from its first to its last microsecond in UTC."""
    column = attribute.column
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            first = Condition(column, "ge", datetime.combine(day, time.min, UTC))
            last = Condition(column, "le", datetime.combine(day, time.max, UTC))
            return {"eq": [first, last], "ge": [first], "le": [last]}[comparison]
        if match := _DATE_TIME.fullmatch(text):
            offset = (match[2] or "").replace(" ", "+")
            instant = datetime.fromisoformat(match[1].upper() + offset.upper())
            aware = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
            return [Condition(column, comparison, aware)]
    except (ValueError, OverflowError):  # the thirteenth month; an offset that leads before the year 1
        pass
    raise _Wrong(f"{label} should be a date like 2021-04-25 or an ISO 8601 date-time.")
