"""Tries the STUN and TURN servers that browsers receive: whether each answers, and which address of ours it sees."""

import asyncio
import re
import ssl
from dataclasses import dataclass

from portico.app.relay import own_server
from portico.core.addresses import Address
from portico.doctor import stun
from portico.doctor.addresses import gather_facts, offered
from portico.doctor.finding import Finding, note, ok, problem
from portico.doctor.probes import reason
from portico.doctor.subject import Subject, running_pid

AREA = "relay"
SERVERS_MAX = 10
_WITHIN_SECS = 3.0
_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[^]]+\]|[^:?]+)(:(?P<port>\d+))?(\?transport=(?P<transport>\w+))?"
)


@dataclass(frozen=True, slots=True)
class Server:
    """One URL of a server, without user and password."""

    url: str
    host: str
    port: int
    transport: str
    """udp, tcp or tls."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request to one STUN or TURN server."""

    reason: str | None = None
    """Why the server did not answer; None where it did."""
    seen: Address | None = None
    """The address under which the server sees this machine; None unless it was asked by UDP."""


async def check(subject: Subject) -> list[Finding]:
    """Try our own server where it runs, else each server of the settings, all at the same time."""
    settings = subject.settings
    if settings.turn_is_on and running_pid(settings) is None:
        return [note(AREA, "The relay runs with the server, which does not run.", "Examine it while the server runs.")]
    servers_of = (own_server(settings),) if settings.turn_is_on else settings.ice.servers
    urls = [url for each in servers_of for url in each.urls]
    if not urls:
        return []
    servers = [server_of(url) for url in urls[:SERVERS_MAX]]
    answers = await asyncio.gather(*map(ask, servers))
    given = offered(await gather_facts(subject))
    return [
        finding for server, answer in zip(servers, answers, strict=True) for finding in judge(server, answer, given)
    ]


def judge(server: Server, answer: Answer, given: list[Address]) -> list[Finding]:
    """Findings about the servers' answers. `given` are the addresses that Janus offers."""
    if answer.reason is not None:
        remedy = (
            "Check its name (PORTICO_ICE_SERVERS or PORTICO_DOMAIN), that it runs and that a firewall passes its port."
        )
        return [problem(AREA, f"{server.url} does not answer: {answer.reason}.", remedy)]
    if answer.seen is None or answer.seen.is_loopback:
        return [ok(AREA, f"{server.url} answers.")]
    if answer.seen in given:
        return [ok(AREA, f"{server.url} answers, and sees this machine as {answer.seen}, which Janus offers.")]
    shown = ", ".join(map(str, given)) or "no address"
    text = f"{server.url} answers, and sees this machine as {answer.seen}; Janus offers {shown}."
    return [
        note(AREA, text, f"If UDP to {answer.seen} leads to this machine, set PORTICO_MEDIA_ADDRESS={answer.seen}.")
    ]


def server_of(url: str) -> Server:
    """A URL as RTCIceServer has it (RFC 7064, RFC 7065)."""
    found = _URL.fullmatch(url)
    assert found is not None, "the settings have checked it"
    secure = found["scheme"].endswith("s")
    transport = "tls" if secure else found["transport"] or "udp"
    return Server(url, found["host"].strip("[]"), int(found["port"] or (5349 if secure else 3478)), transport)


async def ask(server: Server) -> Answer:
    """Send a binding request by UDP, or connect by TCP or TLS, whatever the certificate."""
    try:
        if server.transport == "udp":
            seen = await stun.ask(server.host, server.port, within_secs=_WITHIN_SECS)
            return Answer(seen=seen) if seen is not None else Answer(f"no answer within {_WITHIN_SECS:g} s")
        async with asyncio.timeout(_WITHIN_SECS):
            context = _any_certificate() if server.transport == "tls" else None
            _, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
    except TimeoutError:
        return Answer(f"no connection within {_WITHIN_SECS:g} s")
    except ssl.SSLError as error:
        return Answer(f"it does not speak TLS ({error.reason or error})")
    except OSError as error:
        return Answer(reason(error))
    writer.transport.abort()
    return Answer()


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
