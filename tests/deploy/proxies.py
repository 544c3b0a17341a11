"""Real nginx and Caddy on 127.0.0.1, with the examples of deploy/proxies as their configuration."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

EXAMPLES = Path(__file__).parents[2] / "deploy" / "proxies"
HOST = "video.example.com"
STARTS_WITHIN_SECS = 30.0
STOPS_WITHIN_SECS = 20.0


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the proxy's HTTPS and HTTP, and of Portico."""

    https: int
    http: int
    portico: int


def has_ipv6() -> bool:
    """Whether this machine's loopback interface has its IPv6 address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def example(name: str, *replaced: tuple[str, str]) -> str:
    """The text of an example, with its variables replaced; each has to be there."""
    text = (EXAMPLES / name).read_text()
    for was, becomes in replaced:
        assert was in text, f"{name} has no {was}"
        text = text.replace(was, becomes)
    return text


@contextlib.contextmanager
def nginx(name: str, folder: Path, ports: Ports, strips: bool) -> Iterator[ssl.SSLContext]:
    """Run nginx with an example; yields the TLS context with which clients trust it."""
    certificate, key, trust = _certificate(folder)
    live, ipv6 = f"/etc/letsencrypt/live/{HOST}", "[::1]" if has_ipv6() else "127.0.0.9"
    replaced = [
        (f"{live}/fullchain.pem", str(certificate)),
        (f"{live}/privkey.pem", str(key)),
        (HOST, "localhost"),
        ("listen 443 ssl", f"listen 127.0.0.1:{ports.https} ssl"),
        ("listen [::]:443 ssl", f"listen {ipv6}:{ports.https} ssl"),
        ("127.0.0.1:8080", f"127.0.0.1:{ports.portico}"),
    ]
    if strips:
        replaced.append(("proxy_pass http://portico;", "proxy_pass http://portico/;"))
    if name == "nginx.conf":
        replaced += [
            ("listen 80;", f"listen 127.0.0.1:{ports.http};"),
            ("listen [::]:80;", f"listen {ipv6}:{ports.http};"),
        ]
    (folder / "portico.conf").write_text(example(name, *replaced))
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = " ".join(
        f"{kind}_temp_path {folder}/temp;" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;"
        f"events {{}} http {{ access_log off; {kinds} include {folder}/portico.conf; }}\n"
    )
    with _running([_program("nginx"), "-c", str(main), "-p", str(folder)], folder, ports.https, signal.SIGQUIT):
        yield trust


@contextlib.contextmanager
def caddy(name: str, folder: Path, ports: Ports, strips: bool) -> Iterator[ssl.SSLContext]:
    """Run Caddy with an example; its own authority makes the certificate of localhost, yields the trust in it."""
    replaced = [(f"{HOST} {{", f"localhost:{ports.https} {{"), ("127.0.0.1:8080", f"127.0.0.1:{ports.portico}")]
    if name == "Caddyfile-path" and not strips:
        replaced.append(("handle_path /video/*", "handle /video/*"))
    (folder / "portico.caddy").write_text(example(name, *replaced))
    main, ipv6 = folder / "Caddyfile", " [::1]" if has_ipv6() else ""
    options = f"admin off\nskip_install_trust\nhttp_port {ports.http}\ndefault_bind 127.0.0.1{ipv6}\n"
    main.write_text(f"{{\n{options}storage file_system {folder}/storage\n}}\nimport {folder}/portico.caddy\n")
    root = folder / "storage" / "pki" / "authorities" / "local" / "root.crt"
    command = [_program("caddy"), "run", "--config", str(main), "--adapter", "caddyfile"]
    with _running(command, folder, ports.https, signal.SIGTERM):
        yield ssl.create_default_context(cafile=str(root))


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed: script/setup --dev installs it")
    return found


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path, port: int, ends_by: signal.Signals) -> Iterator[None]:
    """Run a program until the block ends; it begins when the port accepts TLS connections."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", "--", *command], stdout=log, stderr=log, cwd=folder, env=environment
        )
    try:
        _wait_for_tls(process, port, folder / "log")
        yield
    finally:
        process.send_signal(ends_by)
        try:
            process.wait(STOPS_WITHIN_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOPS_WITHIN_SECS)
            raise


def _wait_for_tls(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait for a handshake: Caddy listens before it has a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + STARTS_WITHIN_SECS
    while True:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
            context.wrap_socket(connection, server_hostname="localhost"),
        ):
            return
        time.sleep(0.02)


def _certificate(folder: Path) -> tuple[Path, Path, ssl.SSLContext]:
    """The files of a certificate of localhost and of its key, and the trust in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now, names = datetime.now(UTC), [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    unencrypted = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted))
    trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    return folder / "certificate.pem", folder / "key.pem", trust
