"""Checks of settings against this machine, made once before anything is started."""

import os
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from portico.app.public_server import check_public_server, is_own_address, nat_address, public_warnings
from portico.app.relay import check_relay, relay_warnings
from portico.config.settings import Settings, SettingsError, unknown_variables
from portico.janus.capacity import CALL_OF_TWO_PORTS, cameras_in_one_room
from portico.janus.config import find_janus
from portico.runtime import child
from portico.runtime.interfaces import interface_addresses

_OF_OUR_JANUS = ("janus_bin", "media_interface", "media_address", "rtp_ports")
_OF_THEIR_JANUS = ("janus_api_secret", "janus_admin_key")
_OF_BUCKETS = (
    "s3_endpoint",
    "s3_public_endpoint",
    "s3_region",
    "s3_access_key_id",
    "s3_secret_access_key",
    "s3_virtual_hosted",
    "s3_proxy",
)


def checked(settings: Settings, *, is_running: bool = False, has_media: bool = True) -> Settings:
    """Check the settings; returns them with media addresses resolved. Raises SettingsError and JanusUnavailable.

    Resolving a name takes as long as the resolver of this machine tries. `is_running`: a server with these settings
    has the ports already. `has_media`: whether a Janus is to be started.
    """
    _check_bucket_access(settings)
    _check_ice(settings)
    _check_data_dir(settings.data_dir)
    check_public_server(settings, are_ports_ours=is_running)
    check_relay(settings, are_ports_ours=is_running)
    if settings.janus_url is not None or not has_media:
        return settings
    find_janus(settings.janus_bin)
    if cameras_in_one_room(settings.rtp_ports) < 2:
        raise SettingsError(
            f"PORTICO_RTP_PORTS: a call of two with cameras needs {CALL_OF_TWO_PORTS} ports, a call of N needs N(N + 2)"
        )
    # Janus looks for the interface, so an address that a socket can be bound to, as 127.0.0.2, is not enough.
    if settings.node_address not in (None, *(one.address for one in interface_addresses())):
        raise SettingsError(
            f"PORTICO_NODE_ADDRESS: no interface of this machine has the address {settings.node_address}"
        )
    for part in _parts(settings.media_interface):
        if not _is_interface(part) and not is_own_address(part):
            existing = ", ".join(name for _, name in socket.if_nameindex())
            raise SettingsError(
                f"PORTICO_MEDIA_INTERFACE: {part} is no interface and no address of this machine; it has {existing}"
            )
    addresses = ",".join(_media_address(part) for part in _parts(settings.media_address)) or nat_address(settings)
    if settings.tls_mode == "acme" and any(ip_address(part).is_loopback for part in _parts(addresses)):
        raise SettingsError(
            f"PORTICO_MEDIA_ADDRESS: {addresses} is reached by no other machine; set the public address"
        )
    return settings.model_copy(update={"media_address": addresses or None})


def _check_data_dir(data_dir: Path) -> None:
    """Refuse a DATA_DIR that children cannot enter: where root may not mount, they have no capabilities."""
    protection = child.protect()
    if os.geteuid() != 0 or protection.own_view or not protection.drop_capabilities:
        return
    path = data_dir.resolve()
    groups = {os.getegid(), *os.getgroups()}
    for folder in filter(Path.exists, (*reversed(path.parents), path)):
        status = folder.stat()
        bit = 0o100 if status.st_uid == 0 else 0o010 if status.st_gid in groups else 0o001
        if not status.st_mode & bit:
            raise SettingsError(
                f"PORTICO_DATA_DIR: Janus cannot enter {folder}, which belongs to another user, because root may not "
                f"mount here and starts it without privileges; choose another folder, run as the user with the number "
                f"{status.st_uid}, or permit others to enter it (chmod o+x)"
            )


def warnings(settings: Settings) -> list[str]:
    """A sentence for everything that is set and has no effect, or not the effect that it seems to have."""
    found = unknown_variables() + public_warnings(settings) + relay_warnings(settings)
    given = settings.model_fields_set
    if settings.storage_url is None:
        why = "without PORTICO_STORAGE_URL."
        found += [f"{_variable(name)} has no effect {why}" for name in _OF_BUCKETS if name in given]
    if settings.janus_url is not None:
        why = "PORTICO_JANUS_URL names a Janus with a configuration of its own."
        found += [f"{_variable(name)} has no effect: {why}" for name in _OF_OUR_JANUS if name in given]
    else:
        why = "without PORTICO_JANUS_URL: our own Janus gets new secrets at every start."
        found += [f"{_variable(name)} has no effect {why}" for name in _OF_THEIR_JANUS if name in given]
    if settings.janus_url is None and any(ip_address(part).is_loopback for part in _parts(settings.media_address)):
        found.append("PORTICO_MEDIA_ADDRESS is a loopback address: media reaches browsers on this machine only.")
    public = urlsplit(settings.base_url)
    if public.scheme == "http" and not _is_loopback_host(public.hostname or ""):
        found.append(
            f"{settings.base_url} is not an https address: browsers give no camera and no microphone to its pages."
        )
    return found


def _check_bucket_access(settings: Settings) -> None:
    """Refuse one half of a pair of S3 keys, which the store would refuse at the first recording."""
    key = settings.s3_access_key_id or os.environ.get("AWS_ACCESS_KEY_ID")
    secret = settings.s3_secret_access_key or os.environ.get("AWS_SECRET_ACCESS_KEY")
    if settings.storage_url is not None and (not key) != (not secret):
        raise SettingsError("PORTICO_S3_ACCESS_KEY_ID and PORTICO_S3_SECRET_ACCESS_KEY: set both or none of them")


def _check_ice(settings: Settings) -> None:
    """Refuse TURN servers without credentials, and a secret that no server uses."""
    without_user = [one.urls[0] for one in settings.ice.servers if one.relays and one.username is None]
    if without_user and settings.ice_secret is None:
        raise SettingsError(
            f"PORTICO_ICE_SERVERS: {without_user[0]} wants credentials; write turn:USER:PASSWORD@HOST, "
            "or set PORTICO_ICE_SECRET"
        )
    if settings.ice_secret is not None and not without_user:
        raise SettingsError(
            "PORTICO_ICE_SECRET: PORTICO_ICE_SERVERS has no TURN server without a user, so none uses it"
        )


def _media_address(text: str) -> str:
    """The address, or the first IPv4 address, else IPv6 address, of a host name."""
    try:
        address = ip_address(text)
    except ValueError:
        address = _resolved(text)
        if address.is_loopback:
            raise SettingsError(
                f"PORTICO_MEDIA_ADDRESS: this machine knows {text} as {address}, where no other machine reaches it; "
                "set the address itself"
            ) from None
    if address.is_unspecified or address.is_multicast:
        raise SettingsError(f"PORTICO_MEDIA_ADDRESS: {text} is not an address of one machine")
    return str(address)


def _resolved(name: str) -> IPv4Address | IPv6Address:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a host name"
        raise SettingsError(
            f"PORTICO_MEDIA_ADDRESS: {name} is not an address, and as a host name it cannot be resolved: {why}"
        ) from None
    families = [socket.AF_INET, socket.AF_INET6]
    ranked = sorted((each for each in answers if each[0] in families), key=lambda each: families.index(each[0]))
    return ip_address(str(ranked[0][4][0]).partition("%")[0])


def _is_interface(name: str) -> bool:
    return name in (known for _, known in socket.if_nameindex())


def _is_loopback_host(host: str) -> bool:
    """Whether browsers take the host for this machine, and its pages for safe ones."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _variable(name: str) -> str:
    return f"PORTICO_{name.upper()}"
