"""The rate limit: its headers, which requests are counted together, which are not counted, what is remembered."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from portico.api import health, rate_limit
from portico.api.rate_limit import RateLimit
from portico.core.addresses import network
from portico.core.errors import Busy
from portico.core.rate import SECOND_NS, Limit
from portico.db.connect import open_database
from portico.services import tokens
from portico.web import invitations
from tests.api.world import World, world_on

THREE = Limit(3, 3600)


@pytest.fixture
async def limited(sqlite_url: str) -> AsyncIterator[World]:
    """Three requests an hour, which do not come back during a test."""
    database = open_database(sqlite_url)
    try:
        async with world_on(database, rate_limit=THREE) as world:
            yield world
    finally:
        await database.close()


@asynccontextmanager
async def from_address(world: World, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a key elsewhere."""
    transport = httpx.ASGITransport(world.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://portico") as client:
        yield client


def allowance_in(answer: httpx.Response) -> tuple[int, int, int]:
    limit, remaining, reset = (int(answer.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
    return limit, remaining, reset


async def test_without_a_limit_the_headers_show_more_than_any_client_needs(sqlite_world: World) -> None:
    for _ in range(3):
        assert allowance_in(await sqlite_world.k1.get("/v2/rooms")) == (2147483647, 2147483647, 1)


async def test_an_account_has_its_own_limit_and_sees_how_much_is_left(limited: World) -> None:
    began = time.monotonic()
    answers = [await limited.k1.get("/v2/rooms") for _ in range(3)]
    refused = await limited.k1.get("/v2/rooms")
    refilled = time.monotonic() - began  # at most: it began with the first of them
    assert [allowance_in(answer)[:2] for answer in answers] == [(3, 2), (3, 1), (3, 0)]
    resets = [allowance_in(answer)[2] for answer in answers]
    assert resets[0] == 1200 and resets == sorted(resets) and 3600 - refilled <= resets[2] <= 3600
    error = refused.json()["errors"][0]
    assert (refused.status_code, error["code"], error["title"]) == (429, "10011", "Too many requests")
    assert allowance_in(refused)[:2] == (3, 0)
    assert 1200 - refilled <= int(refused.headers["retry-after"]) <= 1200
    assert f"wait {refused.headers['retry-after']} s" in error["detail"]
    assert refused.headers["x-request-id"]
    assert (await limited.k2.get("/v2/rooms")).status_code == 200


async def test_what_is_refused_was_not_done(limited: World) -> None:
    for name in ("a", "b", "c", "d"):
        await limited.k1.post("/v2/rooms", json={"unique_name": name})
    listed = await limited.db.read(lambda tx: tx.exec_driver_sql("SELECT unique_name FROM rooms ORDER BY 1").all())
    assert [name for (name,) in listed] == ["a", "b", "c"]


async def test_every_kind_of_answer_counts_and_carries_the_headers(limited: World) -> None:
    assert allowance_in(await limited.k1.get("/v2/nope"))[1] == 2
    assert allowance_in(await limited.k1.put("/v2/rooms"))[1] == 1
    assert allowance_in(await limited.k1.post("/v2/rooms", content=b"{"))[1] == 0
    assert (await limited.k1.get("/v2")).status_code == 429


async def test_callers_without_a_key_share_their_address(limited: World) -> None:
    path = "/v2/rooms/x/actions/refresh_client_token"
    assert (await limited.anonymous.post(path, json={"refresh_token": "x"})).status_code == 404
    bad = {"Authorization": "Bearer unknown"}
    assert allowance_in(await limited.anonymous.get("/v2/rooms", headers=bad))[1] == 1
    assert allowance_in(await limited.anonymous.post(path, headers=bad))[1] == 0
    assert (await limited.anonymous.post(path)).status_code == 429
    assert (await limited.k1.get("/v2/rooms")).status_code == 200
    async with from_address(limited, "192.0.2.7") as elsewhere:
        assert (await elsewhere.get("/v2/rooms")).status_code == 401


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v20", "/meet/x", "/meet/x/token/"]
)
async def test_other_paths_are_never_limited(limited: World, path: str) -> None:
    limited.app.routes.extend(
        health.routes({}, CollectorRegistry(), find_key=limited.app.state.api.key_ring.find, are_metrics_public=True)
    )
    answers = [await limited.anonymous.get(path) for _ in range(5)]
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert not any("x-ratelimit-limit" in answer.headers for answer in answers)


async def test_holders_of_meeting_links_share_the_limit_of_their_address(limited: World) -> None:
    limited.app.routes.extend(invitations.routes(limited.db, limited.keys, limited.clock, THREE))
    room = await limited.room()
    path, invite = f"/meet/{room['id']}/token", tokens.invite(limited.keys, room["id"])
    good = await limited.anonymous.post(path, json={"invite": invite})
    assert (good.status_code, allowance_in(good)[:2]) == (201, (3, 2))
    assert allowance_in(await limited.anonymous.post(path, json={"invite": "guessed"}))[1] == 1
    assert allowance_in(await limited.anonymous.get("/v2/rooms"))[1] == 0
    refused = await limited.anonymous.post(path, json={"invite": invite})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, "10011")
    assert int(refused.headers["retry-after"]) > 1100
    async with from_address(limited, "192.0.2.7") as elsewhere:
        assert (await elsewhere.post(path, json={"invite": invite})).status_code == 201


async def test_preflights_are_never_limited_and_count_nothing(limited: World) -> None:
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for _ in range(5):
        answer = await limited.anonymous.options("/v2/rooms", headers=asks)
        assert (answer.status_code, allowance_in(answer)[1]) == (204, 3)
    for _ in range(5):
        assert (await limited.anonymous.options("/v2/rooms")).status_code == 405


async def test_a_database_that_has_no_time_is_answered_as_busy(limited: World) -> None:
    await limited.db.close()
    answer = await limited.k1.get("/v2/rooms")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert allowance_in(answer)[:2] == (3, 3)


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 10**15

    def __call__(self) -> int:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += int(seconds * SECOND_NS)


async def account_named(authorization: str | None, address: str) -> str | None:
    return authorization


async def test_what_was_used_comes_back_steadily() -> None:
    clock = Seconds()
    limit = RateLimit(Limit(2, 1), account_named, clock)
    assert [(await limit.admit("a", "")).wait_secs for _ in range(3)] == [0, 0, 1]
    clock.pass_by(0.5)
    assert [(await limit.admit("a", "")).wait_secs for _ in range(2)] == [0, 1]
    clock.pass_by(100)
    assert [(await limit.admit("a", "")).wait_secs for _ in range(3)] == [0, 0, 1]


async def test_memory_is_bounded_and_addresses_displace_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "BUCKETS_MAX", 3)
    limit = RateLimit(Limit(1, 3600), account_named, Seconds())
    await limit.admit("a", "")
    for number in range(9):
        assert (await limit.admit(None, f"192.0.2.{number}")).wait_secs == 0
    assert (await limit.admit("a", "")).wait_secs > 0
    assert [limit.look(f"192.0.2.{number}").remaining for number in range(9)] == [1] * 6 + [0] * 3
    await limit.admit(None, "192.0.2.6")  # refused, and the last request
    await limit.admit(None, "192.0.2.99")
    assert [limit.look(f"192.0.2.{number}").remaining for number in (6, 7, 8, 99)] == [0, 1, 0, 0]


async def test_faults_of_looking_up_a_key_are_the_callers_to_answer() -> None:
    async def busy(authorization: str | None, address: str) -> str | None:
        raise Busy("Later.")

    with pytest.raises(Busy):
        await RateLimit(THREE, busy).admit("a", "")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("not:an:address", "not:an:address", True),
        ("", "", True),
    ],
)
def test_whose_address_it_is(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
