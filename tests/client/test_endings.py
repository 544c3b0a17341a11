"""Close codes, the errors they become, and when the client rejoins."""

import pytest

from portico.client.endings import GIVE_UP_SECS, CloseCode, Ending, RejoinPlan, ending_of, join_error
from portico.client.errors import ClientError, JoinError, RoomFull, TokenRefused, Unavailable, Unreachable
from portico.signaling.effects import CloseCode as ServersCloseCode


def test_the_table_of_close_codes_is_the_servers() -> None:
    assert {code.name: int(code) for code in CloseCode} == {code.name: int(code) for code in ServersCloseCode}


@pytest.mark.parametrize(
    ("code", "reason", "rejoins"),
    [
        (1000, "lost", True),  # from the server, while this client did not leave
        (1006, "lost", True),
        (1008, "refused", False),
        (1011, "lost", True),
        (3999, "lost", True),
        (4000, "ended", False),
        (4001, "lost", True),
        (4002, "kicked", False),
        (4003, "lost", True),
        (4004, "full", True),
        (4005, "token", False),
        (4006, "unavailable", True),
    ],
)
def test_the_close_code_decides_whether_the_client_rejoins(code: int, reason: str, rejoins: bool) -> None:
    ending = ending_of(code, detail="Why.")
    assert (ending.reason, ending.code, ending.detail, ending.is_temporary) == (reason, code, "Why.", rejoins)


def test_what_the_client_did_and_an_announced_kick_count_before_the_code() -> None:
    assert ending_of(1006, left=True).reason == "left"
    assert ending_of(4000, kicked=True) == Ending("kicked", 4000)
    assert ending_of(0, kicked=True).code == CloseCode.REMOVED


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("full", RoomFull),
        ("token", TokenRefused),
        ("unavailable", Unavailable),
        ("lost", Unavailable),
        ("unreachable", Unreachable),
        ("ended", JoinError),
    ],
)
def test_a_join_that_fails_raises_the_error_of_its_ending(reason: str, kind: type[JoinError]) -> None:
    error = join_error(Ending(reason, 4004, "Why."))
    assert type(error) is kind
    assert isinstance(error, ClientError)
    assert (str(error), error.code) == ("Why.", 4004)


def test_tries_are_spread_and_become_rare_until_the_client_gives_up() -> None:
    plan: RejoinPlan | None = RejoinPlan(Ending("lost", 4003), began=100.0)
    pauses = []
    for _ in range(6):
        assert plan is not None
        pauses.append(plan.pause(0.5))
        plan = plan.failed(Ending("unreachable"), 101.0)
    assert pauses == pytest.approx([1, 2, 4, 8, 15, 15])
    assert plan is not None
    assert plan.pause(0.0) == pytest.approx(12)
    assert plan.failed(Ending("token", 4005), 101.0) is None
    assert plan.failed(Ending("unreachable"), 100.0 + GIVE_UP_SECS) is None
    full = plan.failed(Ending("full", 4004), 101.0)
    assert full is not None
    assert full.pause(0.5) == pytest.approx(5)
