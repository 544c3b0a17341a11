"""Tries the ports that browsers need, from another address of this machine, and through the public address.

Neither proves what a firewall in front of the machine does, unless the public address leads out and back in again.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from portico.core.addresses import Address
from portico.doctor.addresses import AddressFacts, gather_facts, public_host
from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import reason
from portico.doctor.subject import Subject, running_pid

AREA = "ports"
_CONNECT_SECS, _PACKET_SECS = 2.0, 1.0
_ADDRESSES_MAX = 4
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True, slots=True)
class PublicAnswer:
    """The outcome of a request to the public URL."""

    kind: str
    """portico, other (another program answers), or none."""
    reason: str = ""
    """Why nothing answered."""


async def check(subject: Subject) -> list[Finding]:
    """Try the ports of the server and of media."""
    settings = subject.settings
    facts = await gather_facts(subject)
    tasks = [_tcp(subject, facts)]
    if settings.janus_url is None:
        tasks.append(_udp(settings.rtp_ports, facts))
    if facts.name is not None:
        tasks.append(_public(subject))
    found = [finding for findings in await asyncio.gather(*tasks) for finding in findings]
    return found + judge_outside(settings.base_url, needed(subject))


def needed(subject: Subject) -> str:
    """The ports that must be open towards browsers, such as "TCP 8080 and UDP 20000-40000"."""
    settings = subject.settings
    if settings.tls_mode != "off":
        ports = [f"TCP {settings.https_port}", f"TCP {settings.http_port}"]
    elif settings.host in _EVERYWHERE or not (settings.public_url or settings.domain):
        ports = [f"TCP {settings.port}"]
    else:
        ports = ["TCP 443"]
    if settings.turn_is_on:
        ports.append(f"TCP and UDP {settings.turn_port}")
        if settings.tls_mode != "off" and settings.turn_domain is None:
            ports.append(f"TCP {settings.turn_tls_port}")
    if settings.janus_url is None:
        ports.append(f"UDP {settings.rtp_ports[0]}-{settings.rtp_ports[1]}")
    return " and ".join([", ".join(ports[:-1]), ports[-1]] if len(ports) > 1 else ports)


def judge_outside(base_url: str, ports: str) -> list[Finding]:
    """A note on what cannot be found out from this machine: whether a firewall lets the ports through."""
    if public_host(base_url) is None:
        return []
    text = (
        f"Browsers need {ports}; whether a firewall outside this machine passes them, only a device outside can show."
    )
    return [note(AREA, text, f"Open {base_url}/check on a device in another network.")]


async def _tcp(subject: Subject, facts: AddressFacts) -> list[Finding]:
    settings = subject.settings
    if settings.tls_mode != "off":
        # The programs in front listen on HOST where it is set, else on all addresses (app/public_server.py).
        listens = settings.host if "host" in settings.model_fields_set else "::"
        return await _tried(subject, facts, listens, [settings.https_port, settings.http_port])
    listens = settings.host
    if public_host(f"http://{f'[{listens}]' if ':' in listens else listens}") is None:
        if facts.name is None:
            remedy = "For other machines set PORTICO_HOST=:: and put a proxy with TLS in front (docs/operating.md)."
            return [note(AREA, f"The server listens on {listens} only: browsers of this machine reach it.", remedy)]
        return []  # a proxy of this machine is in front
    return await _tried(subject, facts, listens, [settings.port])


async def _tried(subject: Subject, facts: AddressFacts, listens: str, ports: Sequence[int]) -> list[Finding]:
    """The findings about these TCP ports of a server that listens on the address `listens`."""
    if running_pid(subject.settings) is None:
        return [note(AREA, f"TCP {_and(ports)} was not tried, because no server runs.")]
    wanted = [each.address for each in facts.own if listens in _EVERYWHERE or str(each.address) == listens]
    if listens == "0.0.0.0":  # noqa: S104
        wanted = [each for each in wanted if each.version == 4]
    tried = wanted[:_ADDRESSES_MAX]
    findings = []
    for port in ports:
        reasons = await asyncio.gather(*(why_no_connection(each, port) for each in tried))
        findings += judge_tcp(port, dict(zip(tried, reasons, strict=True)))
    return findings


def _and(ports: Sequence[int]) -> str:
    return " and ".join(map(str, ports))


def judge_tcp(port: int, reasons: dict[Address, str | None]) -> list[Finding]:
    """Findings about a TCP port. `reasons`: by address, why the port does not answer there, None where it does."""
    remedy = f"Open TCP {port} in the packet filter of this machine (nft, ufw, firewalld), or set PORTICO_HOST=::."
    findings = [
        problem(AREA, f"TCP {port} does not answer on {address}: {reason}.", remedy)
        for address, reason in reasons.items()
        if reason is not None
    ]
    good = [str(address) for address, reason in reasons.items() if reason is None]
    if good:
        findings.append(ok(AREA, f"TCP {port} answers on {', '.join(good)}, tried from this machine."))
    return findings


async def why_no_connection(address: Address, port: int) -> str | None:
    """None when a TCP connection from another address of this machine succeeds, else why not."""
    source = "127.0.0.1" if address.version == 4 else "::1"
    try:
        async with asyncio.timeout(_CONNECT_SECS):
            _, writer = await asyncio.open_connection(str(address), port, local_addr=(source, 0))
    except TimeoutError:
        return f"no answer within {_CONNECT_SECS:g} s"
    except OSError as error:
        return reason(error)
    writer.close()
    return None


async def _udp(ports: tuple[int, int], facts: AddressFacts) -> list[Finding]:
    own = [each.address for each in facts.own]
    tried = [*own[:_ADDRESSES_MAX], *(each for each in facts.media if each not in own)]
    arrived = await asyncio.gather(*(does_packet_arrive(each, ports, is_own=each in own) for each in tried))
    return judge_udp(ports, dict(zip(tried, arrived, strict=True)), own)


def judge_udp(ports: tuple[int, int], arrived: dict[Address, bool | None], own: Sequence[Address]) -> list[Finding]:
    """Findings about UDP ports. `arrived`: by address, whether a packet arrived there; None where it was not tried."""
    which = f"UDP {ports[0]}-{ports[1]}"
    findings, good = [], []
    for address, arrives in arrived.items():
        if arrives and address in own:
            good.append(str(address))
        elif arrives:
            findings.append(ok(AREA, f"A packet of this machine to {address} ({which}) comes back in from outside."))
        elif arrives is False and address in own:
            remedy = f"Open {which} in the packet filter of this machine (nft, ufw, firewalld)."
            findings.append(problem(AREA, f"A packet of this machine to {address} ({which}) is dropped.", remedy))
        elif arrives is False:
            text = f"A packet of this machine to {address} ({which}) does not come back; many routers return none."
            findings.append(note(AREA, text, f"See that the router passes {which} of {address} to this machine."))
    if good:
        findings.append(ok(AREA, f"{which} arrives at {', '.join(good)}, tried from this machine."))
    return findings


async def does_packet_arrive(address: Address, ports: tuple[int, int], *, is_own: bool) -> bool | None:
    """Whether a UDP packet to a free port of the range arrives; None where no port is free or no packet can be sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    everywhere, loopback = ("0.0.0.0", "127.0.0.1") if address.version == 4 else ("::", "::1")  # noqa: S104
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
        receiver.setblocking(False)
        port = _bind_in(receiver, str(address) if is_own else everywhere, ports)
        if port is None:
            return None
        content = f"portico doctor {id(receiver)}".encode()
        try:
            sender.bind((loopback if is_own else everywhere, 0))
            sender.sendto(content, (str(address), port))
        except PermissionError:
            return False  # the packet filter refuses to send it
        except OSError:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PACKET_SECS):
                while await loop.sock_recv(receiver, 100) != content:
                    pass
                return True
    return False


def _bind_in(receiver: socket.socket, address: str, ports: tuple[int, int]) -> int | None:
    """Bind to the highest free port of the range: Janus begins at the lowest."""
    for port in range(ports[1], ports[0] - 1, -1):
        try:
            receiver.bind((address, port))
        except OSError:
            continue
        return port
    return None


async def _public(subject: Subject) -> list[Finding]:
    url = subject.settings.base_url
    return [judge_public(url, await ask_public(url), is_running=running_pid(subject.settings) is not None)]


def judge_public(url: str, answer: PublicAnswer, *, is_running: bool) -> Finding:
    """The finding about the public URL, as it is seen from this machine."""
    if answer.kind == "portico":
        return ok(AREA, f"{url} leads to a Portico.")
    if answer.kind == "other":
        remedy = "Check the proxy in front, and that PORTICO_PUBLIC_URL has the right host, port and path."
        return problem(AREA, f"{url} leads to another program.", remedy)
    if not is_running:
        return note(AREA, f"{url} does not answer while no server runs: {answer.reason}.")
    text = (
        f"{url} does not answer this machine: {answer.reason}; many routers do not lead back in, so it proves nothing."
    )
    return warning(AREA, text, f"Open {url}/check on a device in another network.")


async def ask_public(url: str) -> PublicAnswer:
    """Ask for /healthz at the public URL; whether its certificate is good is another check."""
    timeout = aiohttp.ClientTimeout(total=2 * _CONNECT_SECS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as client, client.get(f"{url}/healthz", ssl=False) as answer:
            is_ours = answer.status == 200 and b'"status"' in await answer.content.read(200)
            return PublicAnswer("portico" if is_ours else "other")
    except TimeoutError:
        return PublicAnswer("none", f"no answer within {2 * _CONNECT_SECS:g} s")
    except aiohttp.ClientConnectorError as error:
        return PublicAnswer("none", reason(error))
    except (aiohttp.ClientError, OSError):
        return PublicAnswer("other")
