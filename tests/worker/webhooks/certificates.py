"""Certificates for receivers with TLS: an authority of the test's own, and what it signs."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def trusted(self) -> ssl.SSLContext:
        """What a client uses that knows this authority and no other."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(_PEM).decode())


def an_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of the tests")])
    builder = _builder(name, name, key, days=1).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    return Authority(name, key, builder.sign(key, hashes.SHA256()))


def a_server(folder: Path, authority: Authority | None, *, address: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
    """For a receiver at `address`; self-signed without an authority, expired with negative `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    is_address = address[0].isdigit()
    name_there = x509.IPAddress(ip_address(address)) if is_address else x509.DNSName(address)
    names = x509.SubjectAlternativeName([name_there])
    issuer, signer = (authority.name, authority.key) if authority else (name, key)
    signed = _builder(name, issuer, key, days).add_extension(names, False).sign(signer, hashes.SHA256())
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "receiver.pem"
    path.write_bytes(private + signed.public_bytes(_PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
    )
