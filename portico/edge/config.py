"""The settings of the programs in front of the server, and the paths of their files. Pure."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Literal

Tls = Literal["acme", "internal", "files"]

HEAD_SECS, IDLE_SECS = 10, 75
"""Seconds until the head of a request is complete, and until the next request of a connection begins."""
UPSTREAM = "127.0.0.1"
"""Where our own server listens while a program is in front of it."""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The public name of the server, and how browsers reach it."""

    data_dir: Path
    domain: str
    tls: Tls
    upstream_port: int
    """Port of UPSTREAM on which our own server listens."""
    host: str | None = None
    """Address to listen on; None for all."""
    https_port: int = 443
    http_port: int = 80
    turn_domain: str | None = None
    """The name by which TURN over TLS shares `https_port`; None where it does not."""
    turn_backend: str = "127.0.0.1:5349"
    """Where TLS connections to `turn_domain` go: coturn, which ends their TLS."""
    acme_url: str | None = None
    """Directory of an authority with ACME; None for Let's Encrypt's."""
    certificate: Path | None = None
    key: Path | None = None
    """The operator's certificate and key; set when `tls` is `files`."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies in front of us, whose X-Forwarded-For is kept."""
    upstream_idle_secs: int = 75
    """How long our own server keeps a connection without a request."""

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that need a certificate."""
        return (self.domain,) if self.turn_domain is None else (self.domain, self.turn_domain)

    @property
    def uses_haproxy(self) -> bool:
        """Whether HAProxy ends the TLS of HTTPS.

        Debian's Caddy reads no PROXY protocol, so that behind another program it would not see clients' addresses, and
        it closes all WebSockets when it loads another certificate file. HAProxy has neither fault; it has no ACME.
        """
        return self.turn_domain is not None or self.tls == "files"

    @property
    def uses_caddy(self) -> bool:
        """Whether Caddy obtains certificates; it also ends the TLS of HTTPS where HAProxy does not."""
        return self.tls != "files"

    @property
    def https_url(self) -> str:
        """https://DOMAIN, with the port where it is not 443."""
        return https_url(self.domain, self.https_port)

    @property
    def folder(self) -> Path:
        """The folder of the files of the programs in front: DATA_DIR/edge."""
        return self.data_dir.absolute() / "edge"


def https_url(domain: str, port: int) -> str:
    """https://DOMAIN, with the port where it is not 443."""
    return f"https://{domain}" if port == 443 else f"https://{domain}:{port}"


def bundle(data_dir: Path, name: str) -> Path:
    """The path of the certificate in use for a host name: one PEM file with key and chain, replaced as a whole.

    coturn names it twice, as `cert` and as `pkey`. Children read its folder, `bundles(data_dir)`.
    """
    return bundles(data_dir) / f"{name}.pem"


def bundles(data_dir: Path) -> Path:
    """The folder of the certificates in use."""
    return data_dir.absolute() / "edge" / "certificates"


def storage(settings: EdgeSettings) -> Path:
    """Where Caddy keeps its account, certificates and, with `tls` internal, its authority."""
    return settings.folder / "caddy" / "storage"


def authority(settings: EdgeSettings) -> Path:
    """The root certificate of the internal authority, which browsers of a closed network have to trust."""
    return storage(settings) / "pki" / "authorities" / "local" / "root.crt"


def sources(settings: EdgeSettings, name: str) -> tuple[str, Path, Path] | tuple[str, str, str]:
    """Where the certificate and the key of a name come from: a folder and two paths or patterns below it."""
    if settings.tls == "files":
        assert settings.certificate is not None
        assert settings.key is not None
        return "", settings.certificate, settings.key
    # Caddy has a folder for each issuer: `local`, or HOST-PATH of an ACME directory, with `-` for each slash.
    issuer = "local" if settings.tls == "internal" else "*-*"
    return str(storage(settings) / "certificates"), f"{issuer}/{name}/{name}.crt", f"{issuer}/{name}/{name}.key"


def dial(host: str | None, port: int) -> tuple[str, int]:
    """Host and port by which this machine reaches a program that listens on `host`; loopback for all addresses."""
    return ("127.0.0.1" if host in (None, "", "0.0.0.0", "::") else str(host)), port  # noqa: S104


def bracketed(host: str) -> str:
    """The host as it stands before a port: IPv6 in brackets."""
    try:
        return f"[{host}]" if isinstance(ip_address(host), IPv6Address) else host
    except ValueError:
        return host
