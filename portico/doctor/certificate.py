"""The certificate that browsers receive: its validity, its names, and whether browsers trust it."""

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import in_thread, reason
from portico.doctor.subject import Subject, running_pid

AREA = "certificate"
FEW_DAYS = 14
_CONNECT_SECS = 3.0
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The certificate that a server shows."""

    names: Sequence[str]
    """The host names and addresses that the certificate is for."""
    issuer: str
    not_before: datetime
    not_after: datetime
    distrust: str | None = None
    """Why a program with the certificates of this machine does not trust it, for a reason other than time and name."""


async def check(subject: Subject) -> list[Finding]:
    """Examine the certificate of the public URL: on our program in front if there is one, else at the URL's host."""
    settings = subject.settings
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https":
        return []
    name = parts.hostname or ""
    if settings.tls_mode == "off":
        return await examine(name, parts.port or 443, name)
    if running_pid(settings) is None:
        return [note(AREA, f"The certificate of {name} was not looked at, because no server runs.")]
    host = settings.host if "host" in settings.model_fields_set and settings.host not in _EVERYWHERE else "127.0.0.1"
    return await examine(host, settings.https_port, name, is_internal=settings.tls_mode == "internal")


async def examine(
    host: str, port: int, name: str, *, trust: ssl.SSLContext | None = None, is_internal: bool = False
) -> list[Finding]:
    """The findings about the certificate of `host` on `port` for `name`. `trust` replaces this machine's authorities.

    `is_internal`: the certificate is issued by an authority of our own, which this machine need not trust.
    """
    try:
        facts = await in_thread(lambda: facts_of(host, port, name, trust=trust))
    except ssl.SSLError as error:
        text = f"What answers on {host}:{port} does not speak TLS: {error.reason or error}."
        return [problem(AREA, text, "Check the proxy in front, and the port of PORTICO_PUBLIC_URL.")]
    except OSError as error:
        return [note(AREA, f"The certificate of {name} cannot be read from here: {reason(error)}.")]
    if is_internal and facts.distrust is not None:
        text = f"The certificate of {name} is from this server's own authority: each device has to trust it."
        remedy = "Install the root certificate of the authority on the devices, or use PORTICO_TLS=acme."
        return [*judge(replace(facts, distrust=None), name, datetime.now(UTC)), note(AREA, text, remedy)]
    return judge(facts, name, datetime.now(UTC))


def judge(facts: CertificateFacts, name: str, now: datetime) -> list[Finding]:
    """Findings about time, name and trust."""
    days = (facts.not_after - now) / timedelta(days=1)
    which = f"The certificate of {name}"
    renew = "Renew it where it comes from, and see that the program that shows it loads the new one."
    findings = []
    if days < 0:
        findings.append(problem(AREA, f"{which} expired {_days(-days)} ago.", renew))
    elif facts.not_before > now:
        remedy = "Set the clock of this machine right, or renew the certificate."
        findings.append(problem(AREA, f"{which} is valid only from {facts.not_before:%Y-%m-%d %H:%M} UTC on.", remedy))
    elif days < min(FEW_DAYS, (facts.not_after - facts.not_before) / timedelta(days=3)):
        findings.append(warning(AREA, f"{which} is valid for {_days(days)} only.", renew))
    if not any(_matches(each, name) for each in facts.names):
        names = ", ".join(facts.names) or "no name"
        remedy = f"Get a certificate for {name}, or correct PORTICO_PUBLIC_URL."
        findings.append(problem(AREA, f"{which} is one for {names}.", remedy))
    if facts.distrust is not None:
        remedy = (
            "Use a certificate of a public authority with its whole chain, or install your authority on all devices."
        )
        findings.append(warning(AREA, f"{which} is not trusted here: {facts.distrust}.", remedy))
    return findings or [ok(AREA, f"{which}, issued by {facts.issuer}, is valid for {_days(days)}.")]


def facts_of(host: str, port: int, name: str, *, trust: ssl.SSLContext | None = None) -> CertificateFacts:
    """Connect twice: to receive the certificate, and to learn whether it is trusted. Raises OSError."""
    any_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_context.check_hostname, any_context.verify_mode = False, ssl.CERT_NONE
    shown = _shown(any_context, host, port, name)
    trusting = trust or ssl.create_default_context()
    trusting.check_hostname = False
    distrust = None
    try:
        _shown(trusting, host, port, name)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code not in (9, 10):  # not yet or no longer valid: see X509_STORE_CTX_get_error(3)
            distrust = error.verify_message
    return read(x509.load_der_x509_certificate(shown), distrust)


def read(certificate: x509.Certificate, distrust: str | None = None) -> CertificateFacts:
    """The facts in a certificate."""
    names: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(extension, x509.SubjectAlternativeName)
        names += extension.get_values_for_type(x509.DNSName)
        names += map(str, extension.get_values_for_type(x509.IPAddress))
    issuer = certificate.issuer
    shown = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) or issuer.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    return CertificateFacts(
        names,
        str(shown[0].value) if shown else "an unnamed authority",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        distrust,
    )


def _shown(context: ssl.SSLContext, host: str, port: int, name: str) -> bytes:
    with (
        socket.create_connection((host, port), timeout=_CONNECT_SECS) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        certificate = secured.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is good for a host: `*` stands for the first label (RFC 9525 section 6.3)."""
    with contextlib.suppress(ValueError):
        return ip_address(name) == ip_address(pattern)
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in name and name.partition(".")[2] == pattern[2:]
    return pattern == name


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
