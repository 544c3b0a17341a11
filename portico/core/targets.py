"""The participants of an action on a session: all or a list, without the excluded (contract section 3.13)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portico.core import casting
from portico.core.casting import BodyMember, Value, parse_uuid
from portico.core.errors import Fault, Invalid

IDS_MAX = 1000
"""Ids in one list: far more than a room holds, so a longer list is a mistake of the caller."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The participants in `listed` (all if it is None) that are not in `excluded`."""

    listed: frozenset[str] | None
    excluded: frozenset[str] = frozenset()

    def include(self, participant_id: str) -> bool:
        """Whether the action concerns this participant."""
        return (self.listed is None or participant_id in self.listed) and participant_id not in self.excluded


def parse(body: object, members: Sequence[BodyMember] = ()) -> tuple[Targets, dict[str, Value]]:
    """The targets in the members `participants` and `exclude` of a body, and the values of its other `members`.

    Raises Invalid with every wrong member.
    """
    if not isinstance(body, Mapping):
        raise Invalid(Fault("10027", "Unprocessable Entity", "The request body should be a JSON object."))
    faults: list[Fault] = []
    values: dict[str, Value] = {}
    listed = _participants(body.get("participants"), faults)
    excluded = _ids("exclude", body["exclude"], faults) if body.get("exclude") is not None else frozenset()
    try:
        values = casting.with_defaults(members, body)
    except Invalid as invalid:
        faults += invalid.faults
    if faults:
        raise Invalid(*faults)
    return Targets(listed, excluded), values


def _participants(given: object, faults: list[Fault]) -> frozenset[str] | None:
    if given == "all":
        return None
    if given is None:
        detail = 'participants is required: "all" or a list of participant ids.'
        faults.append(Fault("10004", "Missing required parameter", detail, pointer="/participants"))
        return None
    return _ids("participants", given, faults)


def _ids(name: str, given: object, faults: list[Fault]) -> frozenset[str]:
    if not isinstance(given, list):
        allowed = '"all" or a list of participant ids' if name == "participants" else "a list of participant ids"
        faults.append(Fault("10026", "Invalid parameter type", f"{name} should be {allowed}.", pointer=f"/{name}"))
        return frozenset()
    if len(given) > IDS_MAX:
        detail = f"{name} should name at most {IDS_MAX} participants."
        faults.append(Fault("10033", "Value outside of range", detail, pointer=f"/{name}"))
        return frozenset()
    ids = [parse_uuid(each) if isinstance(each, str) else None for each in given]
    for index, found in enumerate(ids):
        if found is None:
            detail = "The id of a participant should be a UUID."
            faults.append(Fault("10006", "Invalid ID", detail, pointer=f"/{name}/{index}"))
    return frozenset(each for each in ids if each is not None)
