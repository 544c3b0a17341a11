"""/healthz, /readyz and /metrics for anonymous clients, web pages and Prometheus."""

import json
import socket
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from tests.servers import PorticoServer


def ask(server: PorticoServer, path: str, **headers: str) -> tuple[int, Message, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.base_url + path, headers=named), timeout=10
        ) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


def test_asking_whether_it_is_ready_makes_no_files(server: PorticoServer) -> None:
    changed = set()
    for _ in range(100):
        assert ask(server, "/readyz")[0] == 200
        changed.add((server.data_dir / "files").stat().st_mtime_ns)
    assert len(changed) <= 2  # a probe each 10 s


def test_readyz_states_what_is_wrong_in_words_of_ours(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:
        files = server.data_dir / "files"
        assert ask(server, "/readyz")[0] == 200
        for each in sorted(files.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        files.rmdir()
        files.write_text("a file instead of the folder")
        server.kill9()
        with pytest.raises(AssertionError, match="was not ready") as never:
            server.start()
    assert "The storage does not answer." in str(never.value)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_pages_of_other_origins_may_not_read(server: PorticoServer, path: str) -> None:
    _, headers, _ = ask(server, path, Origin="https://evil.example")
    assert headers["access-control-allow-origin"] is None


def test_prometheus_on_this_machine_reads_the_figures(server: PorticoServer) -> None:
    status, _, body = ask(server, "/metrics")
    assert status == 200
    assert b'portico_sockets_refused{cause="address"} 0.0' in body
    assert b"portico_open_files " in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Host": "evil.example:8080"},
        {"X_Forwarded_For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"X_Real_IP": "203.0.113.9"},
        {"X_Forwarded_Proto": "https"},
    ],
)
def test_figures_are_not_for_others(server: PorticoServer, headers: dict[str, str]) -> None:
    status, _, body = ask(server, "/metrics", **headers)
    assert status == 403 and b"portico_" not in body
    status, _, body = ask(server, "/metrics", **headers, Authorization=f"Bearer {server.api_key}")
    assert status == 200 and b"portico_" in body


def test_figures_are_not_for_a_proxy_of_http_1_0(server: PorticoServer) -> None:
    """What nginx does by default: no header of its own, and the upstream's address as the host."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split(b"\r\n")[0].split()[1] == b"403" and b"portico_" not in answer


def test_figures_may_be_made_public(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data", metrics_public="true") as server:
        assert ask(server, "/metrics", Host="video.example")[0] == 200
        assert json.loads(ask(server, "/readyz")[2]) == {"status": "ready"}
