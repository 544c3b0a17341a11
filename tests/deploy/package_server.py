"""A server of packages with TLS by an authority of its own: a Python index, npm's registry and Debian's."""

import base64
import hashlib
import io
import json
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
_DAY = timedelta(days=1)


@contextmanager
def package_server(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run the server until the block ends; yield its URL and the file of the authority that signed its certificate.

    /simple has the Python packages probe-pip and probe-uv, /npm the package probe, /debian an empty repository.
    """
    authority, chain, key = _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    url = f"https://localhost:{server.server_port}"
    _Handler.files = _files(url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield url, authority
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    files: dict[str, tuple[str, bytes]] = {}  # noqa: RUF012  set once, before the first request

    def do_GET(self) -> None:
        kind, content = self.files.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def _files(url: str) -> dict[str, tuple[str, bytes]]:
    archive = _npm_archive()
    version = {
        "name": "probe",
        "version": "1.0.0",
        "dist": {
            "tarball": f"{url}/npm/probe/-/probe-1.0.0.tgz",
            "integrity": f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}",
        },
    }
    registry = {"name": "probe", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    found = {
        "/npm/probe": ("application/json", json.dumps(registry).encode()),
        "/npm/probe/-/probe-1.0.0.tgz": ("application/octet-stream", archive),
        "/debian/./Packages": ("text/plain", b""),
        "/debian/Packages": ("text/plain", b""),
    }
    for name in ("probe_pip", "probe_uv"):
        wheel = f"{name}-1.0-py3-none-any.whl"
        page = f'<!doctype html><a href="/files/{wheel}">{wheel}</a>'.encode()
        found[f"/simple/{name.replace('_', '-')}/"] = ("text/html", page)
        found[f"/files/{wheel}"] = ("application/octet-stream", _wheel(name))
    return found


def _wheel(name: str) -> bytes:
    about, content = f"{name}-1.0.dist-info", io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names = [f"{name}.py", f"{about}/METADATA", f"{about}/WHEEL", f"{about}/RECORD"]
        archive.writestr(f"{about}/RECORD", "".join(f"{each},,\n" for each in names))
    return content.getvalue()


def _npm_archive() -> bytes:
    content, package = io.BytesIO(), json.dumps({"name": "probe", "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(package)
        archive.addfile(entry, io.BytesIO(package))
    return content.getvalue()


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """The authority's certificate, that of localhost, and the key of the latter."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A Company's Authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    root = _signed(root_name, root_key.public_key(), root_name, root_key, constraints)
    alternatives = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    leaf = _signed(name, key.public_key(), root_name, root_key, alternatives)
    files = folder / "authority.crt", folder / "leaf.crt", folder / "leaf.key"
    files[0].write_bytes(root.public_bytes(_PEM))
    files[1].write_bytes(leaf.public_bytes(_PEM))
    unencrypted = serialization.NoEncryption()
    files[2].write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, unencrypted))
    return files


def _signed(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(now - _DAY).not_valid_after(now + _DAY)
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.add_extension(identifier, critical=False).sign(issuer_key, hashes.SHA256())
