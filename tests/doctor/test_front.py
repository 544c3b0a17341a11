"""A public server: the programs in front of it, its ports and its certificate."""

import ssl
from pathlib import Path

import pytest

from portico.doctor import certificate, front, ports
from portico.doctor.subject import subject_of
from tests.doctor.conftest import MakeSubject, a_server_process
from tests.doctor.findings import levels
from tests.receiver import Receiver
from tests.servers import kept_port
from tests.worker.webhooks.certificates import a_server

DOMAIN = "video.example.com"


async def test_without_a_domain_there_is_nothing_in_front(subject: MakeSubject) -> None:
    assert await front.check(subject()) == []
    assert await front.check(subject(domain=DOMAIN, tls="off", turn="off")) == []


async def test_the_programs_in_front_state_their_versions(subject: MakeSubject) -> None:
    found = await front.check(subject(domain=DOMAIN, tls="internal"))
    assert levels(found) == ["ok", "ok"]
    assert "caddy 2." in found[0].text
    assert "turnserver 4." in found[1].text


async def test_a_program_that_is_not_installed_is_a_problem(
    subject: MakeSubject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await front.check(subject(domain=DOMAIN, tls="internal"))
    if found[0].level == "ok":
        pytest.skip("Caddy is in /usr/sbin here")
    assert levels(found) == ["problem", "problem"]
    assert "caddy" in found[0].text
    assert "coturn" in found[1].remedy


def test_ports_that_a_running_server_has_are_no_reason_to_refuse_its_settings(
    subject: MakeSubject, tmp_path: Path
) -> None:
    with kept_port() as https, kept_port() as http:
        https.listen()
        chosen = {"https_port": str(https.getsockname()[1]), "http_port": str(http.getsockname()[1])}
        made = subject(domain="localhost", tls="internal", host="127.0.0.1", **chosen).settings
        refused = subject_of(made).refusal
        assert refused is not None and "PORTICO_HTTPS_PORT" in refused
        with a_server_process(tmp_path / "data"):
            assert subject_of(made).refusal is None


def test_the_ports_of_a_public_server_are_named(subject: MakeSubject) -> None:
    assert ports.needed(subject(domain=DOMAIN)) == ("TCP 443, TCP 80, TCP and UDP 3478, TCP 5349 and UDP 20000-40000")
    assert ports.needed(subject(domain=DOMAIN, tls="off", turn="off")) == "TCP 443 and UDP 20000-40000"


async def test_the_certificate_of_our_own_authority_is_looked_at_here(subject: MakeSubject, tmp_path: Path) -> None:
    tls: ssl.SSLContext = a_server(tmp_path, None, address=DOMAIN, days=90)
    async with Receiver(tls=tls) as receiver:
        chosen = subject(domain=DOMAIN, tls="internal", https_port=str(receiver.port))
        assert levels(await certificate.check(chosen)) == ["note"], "no server runs"
        with a_server_process(tmp_path / "data"):
            found = await certificate.check(chosen)
    assert levels(found) == ["ok", "note"]
    assert "own authority" in found[1].text
