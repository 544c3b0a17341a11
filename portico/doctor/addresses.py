"""The addresses of this machine, the one under which it is public, and which of them Janus offers to browsers."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from portico.core.addresses import Address, is_internal
from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import in_thread, reason
from portico.doctor.subject import Subject
from portico.runtime.interfaces import InterfaceAddress, interface_addresses

AREA = "addresses"


@dataclass(frozen=True)
class AddressFacts:
    """The addresses of this machine and of its public name."""

    own: Sequence[InterfaceAddress]
    """The addresses of this machine's interfaces that Janus may offer, without loopback."""
    media: Sequence[Address] = ()
    """The addresses of PORTICO_MEDIA_ADDRESS, which Janus offers instead of its own if there are any."""
    name: str | None = None
    """The host of the public URL; None where browsers on this machine alone are served."""
    resolved: Sequence[Address] = ()
    """What the name resolves to."""
    why_not_resolved: str | None = None


async def check(subject: Subject) -> list[Finding]:
    """Read the interfaces and resolve the public name."""
    return judge(await gather_facts(subject))


async def gather_facts(subject: Subject) -> AddressFacts:
    """Read the interfaces and resolve the names. Takes as long as the resolver of the machine tries."""
    settings = subject.settings
    media = [ip_address(part.strip()) for part in (settings.media_address or "").split(",") if _is_address(part)]
    name = public_host(settings.base_url)
    resolved: list[Address] = []
    why = None
    if name is not None:
        try:
            resolved = await in_thread(lambda: _resolve(name))
        except OSError as error:
            why = reason(error)
    return AddressFacts(own_addresses(settings.media_interface), media, name, resolved, why)


def judge(facts: AddressFacts) -> list[Finding]:
    """Findings about the interfaces, about what Janus offers, and about the public name."""
    findings = [_judge_own(facts)]
    return findings + (_judge_name(facts) if facts.name is not None else _judge_without_name(facts))


def offered(facts: AddressFacts) -> list[Address]:
    """The addresses that Janus offers to browsers."""
    return list(facts.media) or [each.address for each in facts.own]


def _judge_own(facts: AddressFacts) -> Finding:
    if not facts.own:
        text = "No network interface has an address for media."
        remedy = "Connect the machine to a network, or correct PORTICO_MEDIA_INTERFACE."
        return problem(AREA, text, remedy) if facts.name is not None else warning(AREA, text, remedy)
    by_interface: dict[str, list[str]] = {}
    for each in facts.own:
        by_interface.setdefault(each.interface, []).append(str(each.address))
    return ok(AREA, "; ".join(f"{name} has {_and(found)}" for name, found in by_interface.items()) + ".")


def _judge_without_name(facts: AddressFacts) -> list[Finding]:
    if not offered(facts) or any(not is_internal(each) for each in offered(facts)):
        return []
    text = f"Janus offers {_and(map(str, offered(facts)))}: media reaches browsers in this network only."
    return [note(AREA, text, "For browsers elsewhere set PORTICO_MEDIA_ADDRESS to the public address.")]


def _judge_name(facts: AddressFacts) -> list[Finding]:
    name, found = facts.name, facts.resolved
    if not found:
        why = f": {facts.why_not_resolved}" if facts.why_not_resolved else ""
        return [problem(AREA, f"The name {name} cannot be resolved{why}.", "Add an A record (and AAAA) to its zone.")]
    given = offered(facts)
    strange = [each for each in found if each not in given]
    public = [each for each in found if not is_internal(each)]
    is_or_are = f"{name} is {_and(map(str, found))}"
    if not strange:
        return [ok(AREA, f"{is_or_are}, which Janus offers.")]
    if public and given and all(is_internal(each) for each in given):
        return [
            problem(
                AREA,
                f"{is_or_are}, but Janus offers only {_and(map(str, given))}: media from outside does not arrive.",
                f"Set PORTICO_MEDIA_ADDRESS={public[0]}, if UDP to that address leads to this machine.",
            )
        ]
    text = f"{is_or_are}, and Janus offers {_and(map(str, given)) or 'nothing'}."
    remedy = (
        f"If {strange[0]} leads UDP to this machine, set PORTICO_MEDIA_ADDRESS; behind a proxy elsewhere all is well."
    )
    return [note(AREA, text, remedy)]


def own_addresses(media_interface: str | None) -> list[InterfaceAddress]:
    """The addresses of all interfaces but loopback, or of the interface that PORTICO_MEDIA_INTERFACE names."""
    found = interface_addresses()
    names = [part.strip() for part in (media_interface or "").split(",") if part.strip()]
    if names:
        return [each for each in found if each.interface in names or str(each.address) in names]
    return [each for each in found if not each.address.is_loopback]


def public_host(url: str) -> str | None:
    """The host of a URL, unless it is this machine's own loopback."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return None
    return None if _is_address(host) and ip_address(host).is_loopback else host


def _resolve(name: str) -> list[Address]:
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip())
    except ValueError:
        return False
    return True


def _and(words: Iterable[str]) -> str:
    *most, last = [*words] or [""]
    return f"{', '.join(most)} and {last}" if most else last
