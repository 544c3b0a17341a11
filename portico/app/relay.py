"""Our own TURN server: its settings, the URLs that browsers receive, and checks against this machine."""

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from portico.config.settings import Settings, SettingsError
from portico.core.ice import IceServer, IceServers, relay
from portico.edge.config import bundle
from portico.edge.coturn import load_secret
from portico.edge.coturn_config import RelaySettings
from portico.edge.programs import find
from portico.runtime.child_process import ChildUnavailable
from portico.runtime.interfaces import InterfaceAddress, interface_addresses

_LOOPBACK = "127.0.0.1"
_OF_RELAY = ("turn_port", "turn_tls_port", "relay_ports", "relay_peer_ports")


def relay_settings(settings: Settings) -> RelaySettings | None:
    """The settings of our TURN server; None where it is off. Makes its secret file. Raises ChildUnavailable."""
    if not settings.turn_is_on:
        return None
    local = media_addresses(settings)
    try:
        secret = load_secret(settings.data_dir)
    except OSError as error:
        raise ChildUnavailable(f"{error.filename} cannot be used: {error.strerror}.") from error
    return RelaySettings(
        data_dir=settings.data_dir,
        secret=secret,
        listen=listen_addresses(settings),
        relay=local,
        peers=tuple(dict.fromkeys((*local, *_parts(settings.media_address)))),
        media_ports=settings.rtp_ports,
        may_reach_all_ports=settings.relay_peer_ports == "all",
        port=settings.turn_port,
        tls_port=settings.turn_tls_port,
        ports=settings.relay_ports,
        certificate=_certificate(settings),
        realm=settings.domain or "portico",
    )


def ice_servers(settings: Settings, own: RelaySettings | None) -> IceServers:
    """The STUN and TURN servers that browsers receive: our own where it runs, else those of ICE_SERVERS."""
    return settings.ice if own is None else IceServers((own_server(settings),), own.secret)


def own_server(settings: Settings) -> IceServer:
    """The URLs of our own TURN server."""
    host = settings.domain or urlsplit(settings.base_url).hostname or _LOOPBACK
    tls = None
    if _certificate(settings) is not None:
        shared = settings.turn_domain
        tls = (host, settings.turn_tls_port) if shared is None else (shared, settings.https_port)
    return relay(host, settings.turn_port, tls)


def _certificate(settings: Settings) -> Path | None:
    """The bundle of the name that browsers reach the TURN server by with TLS; None where there is none."""
    if settings.tls_mode == "off" or settings.domain is None:
        return None
    return bundle(settings.data_dir, settings.turn_domain or settings.domain)


def media_addresses(settings: Settings) -> tuple[str, ...]:
    """The addresses of this machine that Janus offers to browsers: of MEDIA_INTERFACE, else all but loopback."""
    wanted = _parts(settings.media_interface)

    def is_offered(each: InterfaceAddress) -> bool:
        if not wanted:
            return not each.address.is_loopback and not each.interface.startswith("vmnet")
        # As Janus takes the names of its ice_enforce_list: by their beginnings.
        return each.interface.startswith(tuple(wanted)) or str(each.address) in wanted

    return tuple(dict.fromkeys(str(each.address) for each in interface_addresses() if is_offered(each)))


def listen_addresses(settings: Settings) -> tuple[str, ...]:
    """The addresses on which browsers reach the TURN server: HOST, or all of a public server."""
    chosen = settings.host if "host" in settings.model_fields_set or settings.domain is None else "::"
    if chosen not in ("::", "0.0.0.0"):  # noqa: S104
        # HAProxy reaches it on loopback.
        return tuple(dict.fromkeys((chosen, *((_LOOPBACK,) if settings.turn_domain is not None else ()))))
    every = [each.address for each in interface_addresses()]
    return tuple(dict.fromkeys(str(one) for one in every if chosen == "::" or one.version == 4))


def check_relay(settings: Settings, *, are_ports_ours: bool = False) -> None:
    """Refuse settings that contradict each other or cannot work here. Raises SettingsError and ChildUnavailable.

    `are_ports_ours` says that a server with these settings runs and uses the ports.
    """
    if settings.turn == "on" and settings.janus_url is not None:
        raise SettingsError(
            "PORTICO_TURN: relays to a Janus of our own only; PORTICO_ICE_SERVERS names a TURN server for another"
        )
    if settings.turn == "on" and settings.ice_servers is not None:
        raise SettingsError("PORTICO_TURN: PORTICO_ICE_SERVERS names other servers; set one of the two")
    if not settings.turn_is_on:
        if settings.turn_domain is not None:
            raise SettingsError("PORTICO_TURN_DOMAIN: is for our own TURN server, and that is off")
        return
    find("turnserver", package="coturn", needed_by="PORTICO_TURN")
    _check_ports(settings)
    if not media_addresses(settings):
        raise SettingsError("PORTICO_TURN: this machine has no address but loopback; set PORTICO_MEDIA_INTERFACE")
    if are_ports_ours:
        return
    for address in listen_addresses(settings):
        for variable, port, kinds in _listeners(settings):
            for kind in kinds:
                _try_port(variable, address, port, kind)


def relay_warnings(settings: Settings) -> list[str]:
    """A sentence for each setting of the TURN server that has no effect."""
    if settings.turn_is_on:
        return []
    given = [name for name in _OF_RELAY if name in settings.model_fields_set]
    return [f"PORTICO_{name.upper()} has no effect while PORTICO_TURN is off." for name in given]


def _check_ports(settings: Settings) -> None:
    (low, high), (media_low, media_high) = settings.relay_ports, settings.rtp_ports
    if low <= media_high and media_low <= high:
        raise SettingsError(
            f"PORTICO_RELAY_PORTS: {low}-{high} and PORTICO_RTP_PORTS {media_low}-{media_high} have ports in common"
        )
    if settings.turn_port == settings.turn_tls_port:
        raise SettingsError("PORTICO_TURN_TLS_PORT: is PORTICO_TURN_PORT too; choose different ports")
    for variable, port, _ in _listeners(settings):
        for name, (first, last) in (("RELAY_PORTS", settings.relay_ports), ("RTP_PORTS", settings.rtp_ports)):
            if first <= port <= last:
                raise SettingsError(f"PORTICO_{variable}: {port} is one of PORTICO_{name}; choose another port")


def _listeners(settings: Settings) -> Iterator[tuple[str, int, Sequence[socket.SocketKind]]]:
    """(Name of the setting, port, kinds of its sockets) for each port on which the TURN server listens."""
    yield "TURN_PORT", settings.turn_port, (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    if settings.tls_mode != "off":
        yield "TURN_TLS_PORT", settings.turn_tls_port, (socket.SOCK_STREAM,)


def _try_port(variable: str, address: str, port: int, kind: socket.SocketKind) -> None:
    """Bind the port for a moment."""
    family = socket.AF_INET6 if isinstance(ip_address(address), IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        why = {
            errno.EADDRINUSE: "is in use: stop what uses it, or choose another port",
            errno.EACCES: "may be used by root only: choose one above 1023",
        }.get(error.errno or 0, f"cannot be used: {os.strerror(error.errno or 0)}")
        raise SettingsError(f"PORTICO_{variable}: port {port} of {address} {why}") from None


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
