"""Reads and checks certificates, writes them where the programs in front find them, and watches for renewals."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portico.edge.config import EdgeSettings, bundle, bundles, sources
from portico.runtime import child, durable
from portico.runtime.periodic import Periodic

log = structlog.get_logger(__name__)

LOOK_SECS = 2.0
"""Seconds between two looks at the files of certificates."""
LAST_PART = 6
"""A pair in use is logged as expiring in the last 6th of its time. Caddy renews in the last third."""
LAST_DAYS = timedelta(days=15)
"""A pair is not logged as expiring earlier than this before its end."""
_AGAIN_SECS = 86_400
SELF_SIGNED_LASTS = timedelta(days=365)
_BYTES_MAX = 262_144

OnChange = Callable[[str, Path], Awaitable[None]]
"""A callback that is awaited with a host name and the file of its new certificate."""


class CertificateError(Exception):
    """A pair of certificate and key cannot be used. `part` is `certificate` or `key`; str() says what is wrong."""

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(sentence)
        self.part = part


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and the private key that belongs to it."""

    pem: bytes
    """The key and the chain in one text."""
    names: tuple[str, ...]
    """The host names of the certificate, also with `*` as their first label."""
    not_before: datetime
    not_after: datetime
    issuer: str

    def covers(self, name: str) -> bool:
        """Whether browsers accept the certificate for this host name."""
        first, _, rest = name.lower().partition(".")
        return name.lower() in self.names or (bool(first) and f"*.{rest}" in self.names)

    def expires_soon(self, now: datetime) -> bool:
        """Whether it should have been renewed by now, or has expired."""
        return self.not_after - now < min((self.not_after - self.not_before) / LAST_PART, LAST_DAYS)


def parse(certificate: bytes, key: bytes) -> Pair:
    """Make a pair of the contents of two PEM files. Raises CertificateError."""
    try:
        chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        raise CertificateError("certificate", "has no certificate in PEM form") from None
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except TypeError:
        raise CertificateError("key", "is encrypted with a password; write it without one") from None
    except ValueError:
        raise CertificateError("key", "has no private key in PEM form") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise CertificateError("key", "does not belong to the certificate")
    try:
        alternatives = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = ()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
    return Pair(
        pem, names, chain[0].not_valid_before_utc, chain[0].not_valid_after_utc, chain[0].issuer.rfc4514_string()
    )


def read(certificate: Path, key: Path) -> Pair:
    """Read a pair from two files. Raises CertificateError."""
    return parse(_content(certificate, "certificate"), _content(key, "key"))


def read_for(names: Sequence[str], certificate: Path, key: Path) -> Pair:
    """Read a pair from two files. Raises CertificateError, also if browsers refuse it for one of these host names."""
    pair = read(certificate, key)
    if missing := [name for name in names if not pair.covers(name)]:
        raise CertificateError("certificate", f"is for {', '.join(pair.names) or 'no name'}, not for {missing[0]}")
    return pair


def read_bundle(path: Path) -> Pair | None:
    """Read a pair from one PEM file; None if the file is missing or cannot be used."""
    try:
        return read(path, path)
    except CertificateError:
        return None


def self_signed(name: str, now: datetime) -> bytes:
    """Make a self-signed bundle, with which programs start before there is a certificate. Browsers refuse it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Portico has no certificate yet")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + SELF_SIGNED_LASTS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


class Certificates:
    """Copies the certificate of each name to `bundle` as soon as it is obtained, renewed or replaced.

    `start` leaves a bundle for each name, self-signed where there is nothing better. A pair that cannot be used, such
    as a certificate whose key is still to be replaced, changes nothing; it is logged once.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._seen: dict[str, tuple[object, ...]] = {}  # by name: identity of the files that were read last
        self._used: dict[str, Pair] = {}
        self._warned: dict[str, float] = {}  # by name: when, by the monotonic clock
        self._on_change: list[OnChange] = []
        self._loop = Periodic(self.look, LOOK_SECS, _logged, pauses_first=True)

    def on_change(self, callback: OnChange) -> None:
        """Await `callback` after each change of a certificate, for example to let coturn read it again."""
        self._on_change.append(callback)

    async def start(self) -> None:
        """Write a bundle for each name, and begin to watch their sources. Raises OSError."""
        await asyncio.to_thread(self._prepare)
        self._loop.start()

    async def stop(self) -> None:
        """Stop watching."""
        await self._loop.stop()

    async def look(self) -> None:
        """Look at the files of all names once."""
        for name in self._settings.names:
            path = await asyncio.to_thread(self._update, name)
            if path is not None:
                log.info("certificate.changed", name=name)
                for callback in self._on_change:
                    await callback(name, path)
            self._warn(name)

    def _prepare(self) -> None:
        folder = bundles(self._settings.data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        child.let_read(folder)
        for name in self._settings.names:
            self._update(name)
            path = bundle(self._settings.data_dir, name)
            if (pair := read_bundle(path)) is None or not pair.covers(name):
                self._put(path, self_signed(name, datetime.now(UTC)))

    def _warn(self, name: str) -> None:
        """Log once a day that the pair in use expires soon: it was neither renewed nor replaced."""
        pair, now, last = self._used.get(name), time.monotonic(), self._warned.get(name)
        if pair is None or not pair.expires_soon(datetime.now(UTC)) or (last is not None and now < last + _AGAIN_SECS):
            return
        self._warned[name] = now
        log.warning("certificate.expires", name=name, at=pair.not_after.isoformat())

    def _update(self, name: str) -> Path | None:
        """Copy the newest pair of a name to its bundle; returns the bundle, or None if it has been copied before."""
        certificate, key = _newest(self._settings, name)
        identity = (_identity(certificate), _identity(key))
        if None in identity or identity == self._seen.get(name):
            return None
        self._seen[name] = identity
        try:
            pair = read_for([name], certificate, key)
        except CertificateError as error:
            file = key if error.part == "key" else certificate
            log.warning("certificate.not_used", name=name, file=str(file), why=str(error))
            return None
        self._used[name] = pair
        path = bundle(self._settings.data_dir, name)
        if path.exists() and path.read_bytes() == pair.pem:
            return None
        self._put(path, pair.pem)
        return path

    def _put(self, path: Path, pem: bytes) -> None:
        durable.write(path, pem, mode=0o600)
        child.let_read(path)


def _newest(settings: EdgeSettings, name: str) -> tuple[Path, Path]:
    """The files (certificate, key) of a name; the latest if several issuers have made some."""
    folder, certificate, key = sources(settings, name)
    if not folder:
        return Path(certificate), Path(key)
    found = sorted(Path(folder).glob(str(certificate)), key=lambda path: path.stat().st_mtime)
    latest = found[-1] if found else Path(folder) / str(certificate)
    return latest, latest.with_suffix(".key")


def _identity(path: Path) -> tuple[int, int, int] | None:
    """(File number, time, size) of a file, which change when it is replaced or written; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _content(path: Path, part: str) -> bytes:
    try:
        # Caddy may have put a pipe there, which is not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise CertificateError(part, f"cannot be read: {error.strerror}") from None
    if len(content) > _BYTES_MAX:
        raise CertificateError(part, f"has more than {_BYTES_MAX:,} bytes")
    return content


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  the next look may succeed
        log.warning("certificate.look_failed", why=" ".join(str(error).split()))
