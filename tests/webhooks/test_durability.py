"""kill -9 at random moments between fact and delivery: no event is lost, and none is sent twice without a cause."""

from pathlib import Path

import pytest

from tests.servers import PorticoServer
from tests.webhooks import durability

KILLS = 20
KILLS_ON_POSTGRES = 8
"""Fewer, because there a killed server's people are only found out when its lease is over."""


@pytest.mark.timeout(400)
async def test_nothing_is_lost_however_often_the_server_is_killed(tmp_path: Path, portico: type[PorticoServer]) -> None:
    server = portico(tmp_path / "data", **durability.SETTINGS)
    _check(await durability.run(server, kills=KILLS, seed=20_261_122), KILLS)


@pytest.mark.timeout(400)
async def test_nothing_is_lost_on_postgresql_either(
    tmp_path: Path, postgres_url: str, portico: type[PorticoServer]
) -> None:
    server = portico(tmp_path / "data", database_url=postgres_url, **durability.SETTINGS)
    _check(await durability.run(server, kills=KILLS_ON_POSTGRES, seed=42), KILLS_ON_POSTGRES)


def _check(account: durability.Account, kills: int) -> None:
    assert len(account.kills) == kills
    assert len(account.recorded) > 4 * kills, "too little happened to prove anything"
    assert account.lost == []
    assert account.invented == []
    assert account.repeated_without_cause() == []
    assert all(len(bodies) == 1 for bodies in account.bodies.values()), "data is the same bytes in every attempt"
    published = {payload.get("participant_id") for payload in account.recorded.values()}
    assert account.acknowledged_joins <= published, "an acknowledged join survives"
    _check_balance(account)


def _check_balance(account: durability.Account) -> None:
    """Every start has its end: as many leaves as joins, as many ended sessions as begun ones, all of the same ids."""
    joined, left, started, ended = set(), set(), set(), set()
    for payload in account.recorded.values():
        if "left_reason" in payload:
            left.add(payload["participant_id"])
        elif "participant_id" in payload:
            joined.add(payload["participant_id"])
        elif "ended_reason" in payload:
            ended.add(payload["session_id"])
        else:
            started.add(payload["session_id"])
    assert joined == left
    assert started == ended
