"""The participants of kick, mute and unmute (contract section 3.13)."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core import targets
from portico.core.casting import BodyMember
from portico.core.errors import Invalid
from portico.core.targets import IDS_MAX, Targets

ANNA, BEN, CLARA = (str(uuid4()) for _ in range(3))


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"participants": "all"}, {ANNA, BEN, CLARA}),
        ({"participants": "all", "exclude": [BEN]}, {ANNA, CLARA}),
        ({"participants": "all", "exclude": None}, {ANNA, BEN, CLARA}),
        ({"participants": [ANNA, BEN]}, {ANNA, BEN}),
        ({"participants": [ANNA.upper()]}, {ANNA}),
        ({"participants": [ANNA, BEN], "exclude": [BEN, CLARA]}, {ANNA}),
        ({"participants": [], "exclude": []}, set()),
        ({"participants": [str(uuid4())]}, set()),
        ({"participants": "all", "because": "unknown members mean nothing"}, {ANNA, BEN, CLARA}),
    ],
)
def test_all_or_a_list_without_the_excluded(body: object, meant: set[str]) -> None:
    chosen, _ = targets.parse(body)
    assert {each for each in (ANNA, BEN, CLARA) if chosen.include(each)} == meant


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, [("10004", "/participants")]),
        ({"participants": None}, [("10004", "/participants")]),
        ({"participants": "some"}, [("10026", "/participants")]),
        ({"participants": {"id": ANNA}}, [("10026", "/participants")]),
        ({"participants": ["x", ANNA, 7]}, [("10006", "/participants/0"), ("10006", "/participants/2")]),
        ({"participants": "all", "exclude": "all"}, [("10026", "/exclude")]),
        ({"exclude": [None]}, [("10004", "/participants"), ("10006", "/exclude/0")]),
        ({"participants": [ANNA] * (IDS_MAX + 1)}, [("10033", "/participants")]),
        ({"revoke": "maybe"}, [("10004", "/participants"), ("10026", "/revoke")]),
        ([], [("10027", None)]),
        ("all", [("10027", None)]),
    ],
)
def test_every_wrong_member_is_named(body: object, wrong: list[tuple[str, str | None]]) -> None:
    with pytest.raises(Invalid) as refused:
        targets.parse(body, [BodyMember("revoke", "boolean", "", default=False)])
    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == wrong


def test_other_members_are_cast_beside_them() -> None:
    members = [BodyMember("revoke", "boolean", "", default=False)]
    assert targets.parse({"participants": "all"}, members) == (Targets(None), {"revoke": False})
    assert targets.parse({"participants": "all", "revoke": "1"}, members) == (Targets(None), {"revoke": True})


@given(st.sets(st.uuids()), st.sets(st.uuids()), st.sets(st.uuids()))
def test_the_target_is_listed_and_present_and_not_excluded(
    listed: set[object], out: set[object], here: set[object]
) -> None:
    chosen, _ = targets.parse({"participants": [*map(str, listed)], "exclude": [*map(str, out)]})
    assert {each for each in here if chosen.include(str(each))} == (listed & here) - out
