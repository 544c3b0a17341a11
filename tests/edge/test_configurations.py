"""The generated configurations, in every mode, as the programs themselves read them."""

import itertools
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portico.edge.caddy_config import caddy_config
from portico.edge.certificates import self_signed
from portico.edge.config import EdgeSettings, authority, bracketed, bundle, bundles, dial, https_url, sources
from portico.edge.haproxy_config import haproxy_config
from portico.edge.programs import find
from portico.runtime.child_process import ChildUnavailable

READS_WITHIN_SECS = 60
MODES = list(
    itertools.product(
        ("acme", "internal", "files"),
        (None, "turn.example.com"),
        (None, "0.0.0.0", "::", "203.0.113.7", "2001:db8::7"),
        ((443, 80), (8443, 8081)),
        ((), ("10.0.0.0/8", "2001:db8::/32")),
    )
)
PAIRED = [mode for mode in MODES if (mode[3] == (443, 80)) == (mode[4] == ())]
"""Half of the modes: all of them, but a port's number and the proxies change together."""


def settings_of(folder: Path, mode: tuple[Any, ...]) -> EdgeSettings:
    tls, turn_domain, host, (https, http), proxies = mode
    file = folder / "own.pem" if tls == "files" else None
    return EdgeSettings(
        data_dir=folder,
        domain="video.example.com",
        tls=tls,
        upstream_port=8080,
        host=host,
        https_port=https,
        http_port=http,
        turn_domain=turn_domain,
        certificate=file,
        key=file,
        trusted_proxies=proxies,
    )


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_mode_has_one_program_for_each_port(tmp_path: Path, mode: tuple[Any, ...]) -> None:
    settings = settings_of(tmp_path, mode)
    ports = []
    if settings.uses_caddy:
        config = caddy_config(settings)
        assert config["admin"] == {"disabled": True, "config": {"persist": False}}
        assert config["apps"]["tls"]["certificates"] == {"automate": list(settings.names)}
        servers = config["apps"]["http"]["servers"].values()
        ports += [int(address.rpartition(":")[2]) for server in servers for address in server["listen"]]
        assert all(server["protocols"] == ["h1", "h2"] for server in servers)
        assert all(server["automatic_https"] == {"disable": True} for server in servers)
    if settings.uses_haproxy:
        text = haproxy_config(settings)
        binds = [line.split()[1] for line in text.splitlines() if line.startswith("    bind ") and "unix@" not in line]
        ports += [int(bind.rpartition(":")[2]) for bind in binds]
        assert ("use_backend turn if { req.ssl_sni -i turn.example.com }" in text) == (settings.turn_domain is not None)
    assert sorted(ports) == sorted((settings.https_port, settings.http_port))


def test_haproxy_reads_every_mode(tmp_path: Path) -> None:
    bundles(tmp_path).mkdir(parents=True)
    bundle(tmp_path, "video.example.com").write_bytes(self_signed("video.example.com", datetime.now(UTC)))
    files = []
    for number, mode in enumerate(mode for mode in PAIRED if settings_of(tmp_path, mode).uses_haproxy):
        files.append(tmp_path / f"{number}.cfg")
        files[-1].write_text(haproxy_config(settings_of(tmp_path, mode), dual_stack=number % 2 == 0))
    for file in files:
        done = subprocess.run(
            [find("haproxy"), "-C", tmp_path, "-c", "-f", file],
            capture_output=True,
            text=True,
            timeout=READS_WITHIN_SECS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + file.read_text()
        assert "WARNING" not in done.stdout + done.stderr


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode[0] != "files" and mode[3] == (443, 80)][::5], ids=str)
def test_caddy_reads_what_is_made_for_it(tmp_path: Path, mode: tuple[Any, ...]) -> None:
    """`caddy validate` also makes every module, but begins nothing: no authority is asked."""
    file = tmp_path / "caddy.json"
    file.write_text(json.dumps(caddy_config(settings_of(tmp_path, mode))))
    done = subprocess.run(
        [find("caddy"), "validate", "--config", file],
        capture_output=True,
        text=True,
        timeout=READS_WITHIN_SECS,
        check=False,
        env={"HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout


def test_clients_addresses_are_kept_and_not_believed(tmp_path: Path) -> None:
    """Only X-Forwarded-For of trusted proxies is kept; Forwarded never."""
    for proxies in ((), ("10.0.0.0/8",)):
        settings = settings_of(tmp_path, ("acme", None, None, (443, 80), proxies))
        proxy = caddy_config(settings)["apps"]["http"]["servers"]["https"]["routes"][0]["handle"][0]
        assert proxy["headers"] == {"request": {"delete": ["Forwarded"]}}
        assert proxy.get("trusted_proxies", []) == list(proxies)
        text = haproxy_config(settings_of(tmp_path, ("files", None, None, (443, 80), proxies)))
        unless = " unless { src 10.0.0.0/8 }" if proxies else ""
        assert f"    http-request del-header X-Forwarded-For{unless}\n" in text
        assert "    http-request del-header Forwarded\n" in text


def test_acme_asks_over_the_port_that_caddy_has(tmp_path: Path) -> None:
    def issuer(turn_domain: str | None, acme_url: str | None = None) -> Any:
        settings = settings_of(tmp_path, ("acme", turn_domain, None, (443, 80), ()))
        config = caddy_config(replace(settings, acme_url=acme_url))
        (policy,) = config["apps"]["tls"]["automation"]["policies"]
        return policy["issuers"]

    assert issuer(None) == [{"module": "acme"}]
    assert issuer(None, "https://ca.example/dir") == [{"module": "acme", "ca": "https://ca.example/dir"}]
    assert issuer("turn.example.com") == [{"module": "acme", "challenges": {"tls-alpn": {"disabled": True}}}]


def test_where_files_lie(tmp_path: Path) -> None:
    assert https_url("a.example", 443) == "https://a.example"
    assert https_url("a.example", 8443) == "https://a.example:8443"
    assert dial(None, 80) == dial("::", 80) == dial("0.0.0.0", 80) == ("127.0.0.1", 80)
    assert dial("2001:db8::7", 80) == ("2001:db8::7", 80)
    assert (bracketed("2001:db8::7"), bracketed("203.0.113.7"), bracketed("")) == ("[2001:db8::7]", "203.0.113.7", "")
    assert bundle(tmp_path, "a.example") == tmp_path / "edge" / "certificates" / "a.example.pem"
    found = {tls: settings_of(tmp_path, (tls, None, None, (443, 80), ())) for tls in ("acme", "internal", "files")}
    name = "video.example.com"
    assert sources(found["acme"], name)[1:] == (f"*-*/{name}/{name}.crt", f"*-*/{name}/{name}.key")
    assert sources(found["internal"], name)[1:] == (f"local/{name}/{name}.crt", f"local/{name}/{name}.key")
    assert sources(found["files"], name) == ("", tmp_path / "own.pem", tmp_path / "own.pem")
    assert authority(found["internal"]).relative_to(tmp_path).parts[:3] == ("edge", "caddy", "storage")


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(ChildUnavailable, match="no-such-program is not installed, and PORTICO_DOMAIN needs it"):
        find("no-such-program")
