"""script/setup fetches where a company's own authority signs, and through an HTTP proxy: real pip, uv, npm and apt."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.package_server import package_server
from tests.mounts import lacking, with_file
from tests.proxy import Proxy

pytestmark = pytest.mark.slow  # pip, uv, npm and apt are started twenty times, and prove something of script/ only

ROOT = Path(__file__).parents[2]
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
WITHIN_SECS = 240
APT = """
printf 'deb [trusted=yes] %s/debian ./\\n' "$SERVER" >apt.list
mkdir -p apt/lists/partial apt/cache/archives/partial apt/parts
as_root apt-get -o Dir::Etc::sourcelist="$PWD/apt.list" -o Dir::Etc::sourceparts="$PWD/apt/parts" \
    -o Dir::State::lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Retries=0 -o Acquire::AllowInsecureRepositories=true --error-on=any update
"""
COMMANDS = {
    "pip": ".venv/bin/python -m pip install --retries 0 --no-cache-dir --upgrade --target packages probe-pip",
    "uv": "install_python --no-cache --reinstall --target packages probe-uv",
    "npm": 'find_node; rm -rf pages; mkdir pages; "${npm[@]}" --prefix pages --cache "$PWD/npm-cache" '
    '--registry "$SERVER/npm/" --fetch-retries 0 --prefer-online install probe && rm -rf npm-cache',
    "apt": APT,
}
"""The commands that the scripts run, with the functions of the scripts."""


@dataclass
class Company:
    """A machine of a company: a folder with our scripts, and the company's server of packages."""

    folder: Path
    server: str
    authorities: Path
    """The file of the machine's authorities, with the company's own."""

    async def run(self, script: str, *, trusting: bool = True, **environment: str) -> tuple[int, str]:
        """The status and the output of a script, in an environment with nothing but what is named."""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "SERVER": self.server,
            **environment,
        }
        command = ["bash", "-euc", script]
        process = await asyncio.create_subprocess_exec(
            *(with_file(self.authorities, AUTHORITIES, command) if trusting else command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=variables | {"UV_HTTP_RETRIES": "0", "npm_config_fund": "false", "npm_config_audit": "false"},
        )
        async with asyncio.timeout(WITHIN_SECS):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The authority is installed as update-ca-certificates does it, in a folder that only the commands see."""
    folder = tmp_path_factory.mktemp("company")
    with package_server(folder) as (server, authority):
        if not AUTHORITIES.exists():
            lacking("ca-certificates is not installed")
        own, written, hooks = (folder / name for name in ("own", "certs", "hooks"))
        for each in (own, written, hooks):
            each.mkdir()
        (own / "company.crt").write_bytes(authority.read_bytes())
        options = ["--fresh", "--etccertsdir", str(written), "--localcertsdir", str(own), "--hooksdir", str(hooks)]
        path = f"{os.environ['PATH']}:/usr/sbin"
        subprocess.run(
            ["update-ca-certificates", *options], check=True, capture_output=True, env={**os.environ, "PATH": path}
        )
        authorities = written / AUTHORITIES.name
        authorities.chmod(0o644)
        (folder / "script").symlink_to(ROOT / "script")
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        configuration = folder / "home" / ".config" / "pip" / "pip.conf"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f"[global]\nindex-url = {server}/simple\ndisable-pip-version-check = true\n")
        yield Company(folder, server, authorities)


LIBRARIES = ". script/lib/apt.sh; . script/lib/network.sh; . script/lib/node.sh; "


@pytest.mark.parametrize("program", COMMANDS)
async def test_packages_come_from_where_a_companys_authority_signs(company: Company, program: str) -> None:
    status, output = await company.run(LIBRARIES + COMMANDS[program])
    assert status == 0, output


async def test_an_authority_that_is_not_installed_is_not_trusted(company: Company) -> None:
    """What else would make the tests above succeed is a program that checks no certificate."""
    for program in ("uv", "apt"):
        status, output = await company.run(LIBRARIES + COMMANDS[program], trusting=False)
        assert status != 0 and "certificate" in output.lower(), (program, output)


@pytest.mark.parametrize("program", COMMANDS)
async def test_packages_come_through_the_proxy(company: Company, program: str) -> None:
    async with Proxy() as proxy:
        status, output = await company.run(LIBRARIES + COMMANDS[program], HTTPS_PROXY=proxy.url)
        assert status == 0, output
        target = company.server.partition("//")[2]
        assert {line.rpartition(" ")[0] for line in proxy.asked} == {f"CONNECT {target}"}


@pytest.mark.parametrize("program", COMMANDS)
async def test_addresses_of_no_proxy_are_asked_without_it(company: Company, program: str) -> None:
    async with Proxy() as proxy:
        status, output = await company.run(
            LIBRARIES + COMMANDS[program], HTTPS_PROXY=proxy.url, NO_PROXY="localhost,127.0.0.1"
        )
        assert status == 0, output
        assert proxy.asked == []


async def test_sudo_keeps_the_proxies(company: Company) -> None:
    """sudo clears the environment but for what it is asked to keep; its stand-in here prints what that is."""
    (company.folder / "bin").mkdir(exist_ok=True)
    sudo = company.folder / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\nprintf "%s\\n" "$*"\n')
    sudo.chmod(0o755)
    ask = f'PATH="{sudo.parent}:$PATH"; id() {{ echo 1000; }}; {LIBRARIES} as_root apt-get update'
    plain = await company.run(ask, trusting=False)
    assert plain == (0, "apt-get update\n")
    kept = await company.run(ask, trusting=False, HTTP_PROXY="http://127.0.0.1:3128")
    assert kept == (0, "--preserve-env=http_proxy,https_proxy,no_proxy apt-get update\n")
