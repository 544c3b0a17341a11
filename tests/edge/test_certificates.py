"""Certificates: what is refused and why, and what is copied to where the programs read it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from portico.edge.certificates import CertificateError, Certificates, parse, read_bundle, read_for, self_signed
from portico.edge.config import EdgeSettings, bundle, storage

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_a_bundle_holds_a_pair() -> None:
    pem = self_signed("video.example.com", NOW)
    pair = parse(pem, pem)
    assert pair.names == ("video.example.com",)
    assert (pair.not_before, pair.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=365))
    assert pair.covers("VIDEO.example.com") and not pair.covers("turn.example.com")
    assert parse(pair.pem, pair.pem) == pair


@pytest.mark.parametrize(
    ("name", "covered"),
    [("a.example.com", True), ("A.EXAMPLE.com", True), ("example.com", False), ("a.b.example.com", False)],
)
def test_a_wildcard_stands_for_one_label(name: str, covered: bool) -> None:
    pem = self_signed("*.example.com", NOW)
    assert parse(pem, pem).covers(name) == covered


def test_a_certificate_without_names_covers_none() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    from cryptography.hazmat.primitives import hashes

    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    text = _pem(key)
    pair = parse(certificate.public_bytes(serialization.Encoding.PEM), text)
    assert pair.names == () and not pair.covers("video.example.com")


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    secret = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


def test_what_is_wrong_with_a_pair_is_named() -> None:
    pem, other = self_signed("a.example", NOW), self_signed("a.example", NOW)
    locked = _pem(ec.generate_private_key(ec.SECP256R1()), b"secret")
    cases = {
        (b"nothing", pem): ("certificate", "has no certificate in PEM form"),
        (pem, b"nothing"): ("key", "has no private key in PEM form"),
        (pem, other): ("key", "does not belong to the certificate"),
        (pem, locked): ("key", "is encrypted with a password; write it without one"),
    }
    for (certificate, key), (part, sentence) in cases.items():
        with pytest.raises(CertificateError) as refused:
            parse(certificate, key)
        assert (refused.value.part, str(refused.value)) == (part, sentence)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    good, long = tmp_path / "good.pem", tmp_path / "long.pem"
    good.write_bytes(self_signed("a.example", NOW))
    long.write_bytes(b"x" * 300_000)
    with pytest.raises(CertificateError, match="cannot be read: No such file"):
        read_for(["a.example"], tmp_path / "none.pem", good)
    with pytest.raises(CertificateError, match="has more than 262,144 bytes"):
        read_for(["a.example"], good, long)
    with pytest.raises(CertificateError, match=r"is for a\.example, not for b\.example"):
        read_for(["a.example", "b.example"], good, good)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CertificateError):  # and is not waited for
        read_for(["a.example"], tmp_path / "pipe", good)


@pytest.fixture
def acme(tmp_path: Path) -> EdgeSettings:
    return EdgeSettings(tmp_path, "a.example", "acme", 8080, turn_domain="turn.a.example")


def obtained(settings: EdgeSettings, name: str, authority: str, seconds: int, made: datetime = NOW) -> bytes:
    """Put a certificate where Caddy keeps those of an authority, obtained so many seconds after the first."""
    folder = storage(settings) / "certificates" / authority / name
    folder.mkdir(parents=True, exist_ok=True)
    pem = self_signed(name, made)
    for kind in ("crt", "key"):
        (folder / f"{name}.{kind}").write_bytes(pem)
        os.utime(folder / f"{name}.{kind}", (1_700_000_000 + seconds,) * 2)
    return pem


async def test_a_name_without_a_certificate_has_one_of_our_own_until_it_is_obtained(acme: EdgeSettings) -> None:
    changed: list[tuple[str, Path]] = []

    async def note(name: str, path: Path) -> None:
        changed.append((name, path))

    certificates = Certificates(acme)
    certificates.on_change(note)
    await certificates.start()
    await certificates.stop()  # from here on the test looks
    for name in acme.names:
        pair = read_bundle(bundle(acme.data_dir, name))
        assert pair is not None and pair.covers(name) and "no certificate yet" in pair.issuer
        assert bundle(acme.data_dir, name).stat().st_mode & 0o007 == 0
    first = obtained(acme, "a.example", "acme-v02.api.letsencrypt.org-directory", 0)
    await certificates.look()
    await certificates.look()
    assert changed == [("a.example", bundle(acme.data_dir, "a.example"))]
    assert read_bundle(changed[0][1]) == parse(first, first)
    obtained(acme, "a.example", "local", 20)  # of TLS=internal, which was set before
    later = obtained(acme, "a.example", "acme.example-directory", 10)
    await certificates.look()
    assert read_bundle(changed[-1][1]) == parse(later, later), "of two authorities' certificates the latest"
    assert len(changed) == 2


async def test_a_pair_that_does_not_fit_changes_nothing(acme: EdgeSettings) -> None:
    certificates = Certificates(acme)
    await certificates.start()
    await certificates.stop()
    first = obtained(acme, "a.example", "ca.example-directory", 0)
    await certificates.look()
    key = storage(acme) / "certificates" / "ca.example-directory" / "a.example" / "a.example.key"
    key.write_bytes(self_signed("a.example", NOW))
    await certificates.look()
    assert read_bundle(bundle(acme.data_dir, "a.example")) == parse(first, first)
    key.unlink()
    await certificates.look()
    assert read_bundle(bundle(acme.data_dir, "a.example")) == parse(first, first)


async def test_a_certificate_that_is_not_renewed_is_logged_once_a_day(
    acme: EdgeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the last days of its time, and when it has expired. The self-signed one of the start is not meant."""
    lines = []
    for days_old in (0, 345, 355, 400):
        certificates = Certificates(acme)
        obtained(acme, "a.example", "ca.example-directory", days_old, made=datetime.now(UTC) - timedelta(days=days_old))
        await certificates.start()
        await certificates.stop()
        for _ in range(2):
            await certificates.look()
        lines.append(capsys.readouterr().out.count("certificate.expires"))
    assert lines == [0, 0, 1, 1]


async def test_a_server_that_starts_again_keeps_its_certificate(acme: EdgeSettings) -> None:
    first = obtained(acme, "a.example", "ca.example-directory", 0)
    for _ in range(2):
        certificates = Certificates(acme)
        await certificates.start()
        await certificates.stop()
        assert read_bundle(bundle(acme.data_dir, "a.example")) == parse(first, first)
