"""The programs in front of a public server, and checks of its settings against this machine."""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_address

from portico.config.settings import Settings, SettingsError
from portico.core.addresses import Address
from portico.edge.config import EdgeSettings
from portico.edge.programs import find

_PRIVATE = [
    IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
]
"""IPv4 networks whose addresses a NAT may replace (RFC 1918, RFC 6598, RFC 3927)."""
_NEVER_PUBLIC = ("test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "arpa")
"""Last labels for which no public authority issues certificates (RFC 6761 and common private ones)."""


def edge_settings(settings: Settings) -> EdgeSettings | None:
    """The settings of our programs in front of the server; None where there is none."""
    if settings.tls_mode == "off":
        return None
    assert settings.domain is not None
    return EdgeSettings(
        data_dir=settings.data_dir,
        domain=settings.domain,
        tls=settings.tls_mode,
        upstream_port=settings.port,
        host=settings.host if "host" in settings.model_fields_set else None,
        https_port=settings.https_port,
        http_port=settings.http_port,
        turn_domain=settings.turn_domain,
        turn_backend=f"127.0.0.1:{settings.turn_tls_port}",
        acme_url=settings.acme_url,
        certificate=settings.tls_certificate and settings.tls_certificate.absolute(),
        key=settings.tls_key and settings.tls_key.absolute(),
        trusted_proxies=tuple(map(str, settings.trusted_proxies)),
        upstream_idle_secs=settings.idle_secs,
    )


def check_public_server(settings: Settings, *, are_ports_ours: bool = False) -> None:
    """Refuse settings that contradict each other or cannot work here. Raises SettingsError and ChildUnavailable.

    With `are_ports_ours` a server of ours has the ports, and they are not tried.
    """
    _check_names(settings)
    edge = edge_settings(settings)
    if edge is None:
        return
    if settings.tls_mode == "files":
        _check_files(settings)
    for name, needed in (("caddy", edge.uses_caddy), ("haproxy", edge.uses_haproxy)):
        if needed:
            find(name)
    _check_ports(settings, edge.host, are_tried=not are_ports_ours)


def nat_address(settings: Settings) -> str | None:
    """The public address of this machine behind 1:1 NAT, by its own name; None where none is needed or known.

    Asks the resolver. Raises SettingsError for a name that is unknown and that a public authority has to check.
    """
    if settings.domain is None or settings.media_address is not None or settings.janus_url is not None:
        return None
    try:
        named = resolve(settings.domain)
    except OSError as error:
        if settings.tls_mode == "acme":
            raise SettingsError(
                f"PORTICO_DOMAIN: {settings.domain} cannot be resolved ({error.strerror}): "
                "make a DNS record with the public address of this machine"
            ) from None
        return None
    return behind_nat(named, is_own=is_own_address, outgoing=_outgoing_address())


def behind_nat(named: Sequence[Address], *, is_own: Callable[[str], bool], outgoing: IPv4Address | None) -> str | None:
    """The IPv4 address of the domain, if a NAT in front of this machine has it; None without such a NAT.

    `named` are the domain's addresses, `outgoing` is the one with which this machine reaches others. A machine with a
    public address of its own needs no other: its domain leads to a proxy.
    """
    public = [each for each in named if isinstance(each, IPv4Address) and not is_private(each)]
    if not public or any(is_own(str(each)) for each in public) or outgoing is None or not is_private(outgoing):
        return None
    return str(public[0])


def is_private(address: Address) -> bool:
    """Whether the address cannot be reached from other networks."""
    inside = isinstance(address, IPv4Address) and any(address in network for network in _PRIVATE)
    return inside or address.is_loopback or address.is_link_local or address.is_unspecified


def resolve(name: str) -> list[Address]:
    """All addresses of a host name, IPv4 first. Raises OSError."""
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    found = {ip_address(str(each[4][0]).partition("%")[0]): None for each in answers}
    return sorted(found, key=lambda address: address.version)


def is_own_address(text: str) -> bool:
    """Whether this machine has the address: a socket can be bound to it."""
    try:
        address = ip_address(text)
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((text, 0))
    except (OSError, ValueError):
        return False
    return not address.is_unspecified


def public_warnings(settings: Settings) -> list[str]:
    """A sentence for each setting of a public server that has no effect, or not the one that it seems to have."""
    found: list[str] = []
    if settings.tls_mode != "files":
        of_files = [name for name in ("tls_certificate", "tls_key") if name in settings.model_fields_set]
        found += [f"PORTICO_{name.upper()} has no effect without PORTICO_TLS=files." for name in of_files]
    if settings.tls_mode != "acme" and settings.acme_url is not None:
        found.append("PORTICO_ACME_URL has no effect without PORTICO_TLS=acme.")
    if settings.tls_mode == "off":
        of_ports = [name for name in ("https_port", "http_port") if name in settings.model_fields_set]
        found += [f"PORTICO_{name.upper()} has no effect while PORTICO_TLS is off." for name in of_ports]
    return found


def _check_names(settings: Settings) -> None:
    mode, domain = settings.tls_mode, settings.domain
    if mode != "off" and domain is None:
        raise SettingsError(f"PORTICO_DOMAIN: PORTICO_TLS={mode} needs the host name that browsers use")
    if settings.turn_domain is not None:
        if domain is None or mode == "off":
            raise SettingsError("PORTICO_TURN_DOMAIN: shares the port of HTTPS, so it needs PORTICO_DOMAIN and TLS")
        if settings.turn_domain == domain:
            raise SettingsError("PORTICO_TURN_DOMAIN: should differ from PORTICO_DOMAIN: one port is shared by name")
    if mode != "off" and settings.public_url is not None and settings.public_url.startswith("http://"):
        raise SettingsError(f"PORTICO_PUBLIC_URL: should begin with https:// while PORTICO_TLS is {mode}")
    for variable, name in (("DOMAIN", domain), ("TURN_DOMAIN", settings.turn_domain)):
        if (
            mode == "acme"
            and settings.acme_url is None
            and name is not None
            and ("." not in name or name.rpartition(".")[2] in _NEVER_PUBLIC)
        ):
            raise SettingsError(
                f"PORTICO_{variable}: no public authority issues a certificate for {name}; "
                "set PORTICO_TLS=internal for a network of your own"
            )


def _check_files(settings: Settings) -> None:
    from portico.edge.certificates import CertificateError, read_for  # noqa: PLC0415  slow to import, seldom needed

    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        missing = "CERTIFICATE" if certificate is None else "KEY"
        raise SettingsError(f"PORTICO_TLS_{missing}: PORTICO_TLS=files needs the file")
    names = [name for name in (settings.domain, settings.turn_domain) if name is not None]
    try:
        read_for(names, certificate, key)
    except CertificateError as error:
        file = key if error.part == "key" else certificate
        raise SettingsError(f"PORTICO_TLS_{error.part.upper()}: {file} {error}") from None


def _check_ports(settings: Settings, host: str | None, *, are_tried: bool) -> None:
    ports = {"HTTPS_PORT": settings.https_port, "HTTP_PORT": settings.http_port}
    users = {settings.port: "PORT"}
    for variable, port in ports.items():
        if (other := users.setdefault(port, variable)) != variable:
            raise SettingsError(f"PORTICO_{variable}: {port} is PORTICO_{other} too; choose different ports")
    for variable, port in ports.items() if are_tried else ():
        try:
            _try_port(host, port)
        except OSError as error:
            raise SettingsError(f"PORTICO_{variable}: {_why_no_port(error, host, port)}") from None


def _try_port(host: str | None, port: int) -> None:
    """Bind the port for a moment. Raises OSError."""
    everywhere = "::" if os.path.exists("/proc/net/if_inet6") else "0.0.0.0"  # noqa: S104, PTH110
    family, _, _, _, address = socket.getaddrinfo(host or everywhere, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host not in (None, "::")))
        probe.bind(address)


def _why_no_port(error: OSError, host: str | None, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop what uses it, or choose another port"
    if error.errno == errno.EACCES:
        return f"only root may listen on port {port}: run as root, grant CAP_NET_BIND_SERVICE, or choose another port"
    return f"cannot listen on {host or 'all addresses'}, port {port}: {error.strerror}"


def _outgoing_address() -> IPv4Address | None:
    """The address of the interface that leads to other networks; None without one. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no machine, RFC 5737
        except OSError:
            return None
        return IPv4Address(probe.getsockname()[0])
