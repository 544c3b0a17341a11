"""Certificates that real servers show: too old, soon too old, of another name, of an unknown authority."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from portico.doctor import certificate
from portico.doctor.certificate import CertificateFacts, examine, judge
from portico.doctor.finding import Finding
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.receiver import Receiver
from tests.servers import kept_port
from tests.worker.webhooks.certificates import a_server, an_authority

AUTHORITY = an_authority()
NOW = datetime(2026, 11, 27, tzinfo=UTC)


@asynccontextmanager
async def shown(folder: Path, *, days: int, address: str = "127.0.0.1", own: bool = False) -> AsyncIterator[int]:
    """The port of a server that shows a certificate; `own`: signed by itself."""
    async with Receiver(tls=a_server(folder, None if own else AUTHORITY, days=days, address=address)) as receiver:
        yield receiver.port


async def found(port: int, name: str = "127.0.0.1") -> list[Finding]:
    return await examine("127.0.0.1", port, name, trust=AUTHORITY.trusted())


async def test_a_good_certificate_is_good_for_so_many_days(tmp_path: Path) -> None:
    async with shown(tmp_path, days=90) as port:
        findings = await found(port)
    assert levels(findings) == ["ok"]
    assert "An authority of the tests" in findings[0].text and "90 days" in findings[0].text


@pytest.mark.parametrize(
    ("days", "name", "own", "level", "words"),
    [
        (-1, "127.0.0.1", False, "problem", "expired 24 hours ago"),
        (-5, "127.0.0.1", False, "problem", "expired 5 days ago"),
        (5, "127.0.0.1", False, "warning", "valid for 5 days only"),
        (90, "127.0.0.9", False, "problem", "one for 127.0.0.9"),
        (90, "127.0.0.1", True, "warning", "not trusted here: self-signed certificate"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_found(
    tmp_path: Path, days: int, name: str, own: bool, level: str, words: str
) -> None:
    async with shown(tmp_path, days=days, address=name, own=own) as port:
        findings = await found(port)
    assert levels(findings) == [level]
    assert words in findings[0].text


async def test_a_host_name_is_compared_with_those_of_the_certificate(tmp_path: Path) -> None:
    async with shown(tmp_path, days=90, address="*.example.com") as port:
        assert levels(await found(port, "video.example.com")) == ["ok"]
        assert levels(await found(port, "a.video.example.com")) == ["problem"]


async def test_a_server_without_tls_is_a_problem_and_one_that_is_away_is_not_judged() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as plain:
        assert levels(await found(plain.sockets[0].getsockname()[1])) == ["problem"]
    with kept_port() as kept:
        assert levels(await found(kept.getsockname()[1])) == ["note"]


def test_a_certificate_of_a_day_is_not_short_of_days() -> None:
    """An internal authority's certificates live for hours, and are renewed in time."""
    facts = CertificateFacts(["a.b"], "Caddy", NOW - timedelta(hours=1), NOW + timedelta(hours=11))
    assert levels(judge(facts, "a.b", NOW)) == ["ok"]
    assert levels(judge(facts, "a.b", NOW + timedelta(hours=9))) == ["warning"]
    assert levels(judge(facts, "a.b", NOW - timedelta(hours=2))) == ["problem"], "not valid yet"


async def test_without_https_there_is_nothing_to_look_at(subject: MakeSubject) -> None:
    assert await certificate.check(subject()) == []


async def test_the_certificate_of_the_public_url_is_looked_at(subject: MakeSubject, tmp_path: Path) -> None:
    async with shown(tmp_path, days=-5) as port:
        findings = await certificate.check(subject(public_url=f"https://127.0.0.1:{port}/video"))
    assert levels(findings)[0] == "problem"
    assert "expired" in findings[0].text
