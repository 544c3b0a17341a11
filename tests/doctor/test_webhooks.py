"""Receivers of webhooks: connected to, never sent an event, and no secret of theirs is shown."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from portico.db.connect import open_database
from portico.doctor import webhooks
from portico.doctor.webhooks import RECEIVERS_MAX, judge, origins
from portico.services import api_keys
from portico.worker.webhooks.reach import why_unreachable
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.factories import NOW, a_room
from tests.receiver import Receiver
from tests.servers import kept_port
from tests.worker.webhooks.certificates import a_server, an_authority

AUTHORITY = an_authority()


@pytest.fixture
def rooms_with(sqlite_url: str, tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Makes rooms with webhook URLs, and perhaps a second account; returns the settings of their database."""

    def make(*urls: str, failover: str = "", accounts: int = 1) -> dict[str, object]:
        engine = open_database(sqlite_url).engine
        with engine.begin() as tx:
            for number in range(accounts):
                api_keys.create(tx, f"account {number}", NOW)
            for url in urls:
                a_room(tx, account="account 0", webhook_event_url=url, webhook_event_failover_url=failover)
        engine.dispose()
        return {"data_dir": str(tmp_path)}

    return make


async def test_receivers_are_connected_to_and_get_no_event(
    subject: MakeSubject, rooms_with: Callable[..., dict[str, object]]
) -> None:
    with kept_port() as kept:
        async with Receiver() as receiver:
            away = f"http://user:s3cret@127.0.0.1:{kept.getsockname()[1]}/hook?token=s3cret"
            found = await webhooks.check(subject(**rooms_with(receiver.url, away, failover=receiver.url)))
            assert receiver.connections == 1, "once for all rooms"
            await asyncio.sleep(0)
            assert receiver.requests == []
    assert levels(found) == ["warning", "ok"]
    assert f"http://127.0.0.1:{kept.getsockname()[1] if kept.fileno() >= 0 else ''}" in found[0].text
    assert "connection refused" in found[0].text
    assert "s3cret" not in str(found)


async def test_without_rooms_there_is_nothing_to_try(
    subject: MakeSubject, rooms_with: Callable[..., dict[str, object]]
) -> None:
    assert levels(await webhooks.check(subject())) == ["note"]
    assert levels(await webhooks.check(subject(**rooms_with()))) == ["note"]


async def test_internal_addresses_are_refused_as_deliveries_would_be(
    subject: MakeSubject, rooms_with: Callable[..., dict[str, object]]
) -> None:
    async with Receiver() as receiver:
        found = await webhooks.check(subject(**rooms_with(receiver.url, accounts=2)))
        assert receiver.connections == 0
    assert levels(found) == ["warning"]
    assert "is internal" in found[0].text


async def test_only_the_proxy_is_tried_where_there_is_one(
    subject: MakeSubject, rooms_with: Callable[..., dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver(path="") as proxy, Receiver() as receiver:
        monkeypatch.setenv("PORTICO_WEBHOOK_PROXY", proxy.url.replace("://", "://me:s3cret@"))
        found = await webhooks.check(subject(**rooms_with(receiver.url, accounts=2)))
        assert (proxy.connections, receiver.connections) == (1, 0)
    away = await webhooks.check(subject(data_dir=str(rooms_with()["data_dir"])))
    assert levels(found) == ["ok"]
    assert levels(away) == ["warning"]
    assert "s3cret" not in f"{found}{away}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://nothing.invalid/", "the name is not known"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://[", "the URL cannot be used"),
        ("gopher://host/", "the URL cannot be used"),
    ],
)
async def test_urls_that_lead_nowhere(url: str, reason: str) -> None:
    assert reason in str(await why_unreachable(url, allow_internal=True, within_secs=ANSWERS_WITHIN_SECS))


async def test_the_certificate_of_a_receiver_is_verified(tmp_path: Path) -> None:
    async with Receiver(tls=a_server(tmp_path, AUTHORITY)) as receiver:
        for tls, reason in [(AUTHORITY.trusted(), None), (None, "certificate not trusted")]:
            found = await why_unreachable(receiver.url, allow_internal=True, within_secs=ANSWERS_WITHIN_SECS, tls=tls)
            assert found is None if reason is None else reason in str(found)


async def test_a_receiver_that_is_silent_is_given_up() -> None:
    silent = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await why_unreachable(url, allow_internal=True, within_secs=0.2) == "no connection within 0.2 s"
        silent.set()


def test_many_receivers_are_not_all_tried_and_their_number_is_stated() -> None:
    reasons: dict[str, str | None] = {f"https://{number}.example.com": None for number in range(RECEIVERS_MAX)}
    found = judge(reasons, 7)
    assert levels(found) == ["ok", "note"]
    assert f"{RECEIVERS_MAX} receivers" in found[0].text and "7 more" in found[1].text


def test_paths_and_users_are_not_shown() -> None:
    urls = [
        "https://me:s3cret@a.example.com:8443/T0/B0?x=1",
        "https://a.example.com:8443/other",
        "HTTP://B.example.com",
    ]
    assert origins([*urls, "http://["]) == ["https://a.example.com:8443", "http://B.example.com", "http://["]
