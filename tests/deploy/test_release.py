"""script/release makes the same bytes from the same commit, and a wheel that serves calls without Node."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portico import __version__
from tests.gateway.browser import SignalingBrowser
from tests.gateway.media_peer import Mixer, Source, level
from tests.servers import PorticoServer
from tests.web.test_pages import directives

ROOT = Path(__file__).parents[2]
EPOCH = "1790000000"
WITHIN_SECS = 240
AUDIBLE_DB = -40.0
FILES = {f"portico_video-{__version__}{end}" for end in ("-py3-none-any.whl", ".tar.gz", ".cdx.json")}


def build(checkout: Path, folder: Path, umask: int = 0o022, **environment: str) -> None:
    """Run script/release --only-build in a checkout."""
    variables = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PORTICO_PYTHON": sys.executable, **environment}
    command = [str(checkout / "script" / "release"), "--only-build", str(folder)]
    done = subprocess.run(
        command, env=variables, umask=umask, capture_output=True, text=True, timeout=WITHIN_SECS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(ROOT, folder)
    assert {file.name for file in folder.iterdir()} == FILES
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"portico_video-{__version__}-py3-none-any.whl"


@pytest.mark.slow
def test_another_checkout_makes_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Elsewhere, at another time of its files, with another umask, time zone and language."""
    checkout = tmp_path / "elsewhere" / "checkout"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        file = checkout / name
        if (ROOT / name).is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, file)
            file.chmod(0o700 if os.access(ROOT / name, os.X_OK) else 0o600)
    shutil.copytree(ROOT / "portico/web/assets", checkout / "portico/web/assets", copy_function=shutil.copyfile)
    build(checkout, tmp_path / "again", 0o077, TZ="Asia/Tokyo", LC_ALL="C", HOME=str(tmp_path))
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (built / name).read_bytes(), name


@pytest.mark.slow
def test_the_sdist_makes_the_same_wheel_without_node(built: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built / f"portico_video-{__version__}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / f"portico_video-{__version__}"
    assert not (folder / "frontend" / "node_modules").exists()
    variables = {"PATH": "/nowhere", "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "made")]
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, timeout=WITHIN_SECS)
    assert (tmp_path / "made" / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_wheel_has_the_program_its_pages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"portico_video-{__version__}.dist-info/METADATA").decode()
        entry_points = archive.read(f"portico_video-{__version__}.dist-info/entry_points.txt").decode()
    assert {name.partition("/")[0] for name in names} == {"portico", f"portico_video-{__version__}.dist-info"}
    assets = {name.rpartition("/")[2] for name in names if name.startswith("portico/web/assets/")}
    assert {"meet.html", "console.html", "front.html", "connect.js"} <= assets and ".built-from" not in assets
    assert any(re.fullmatch(r"meet-[\w-]{8}\.js", name) for name in assets)
    assert "portico/db/migrations/script.py.mako" in names and "portico/api/reference.css" in names
    assert not [name for name in names if name.endswith(".pyc")]
    assert re.search(r"^Name: portico-video$", metadata, re.MULTILINE)
    assert re.search(rf"^Version: {re.escape(__version__)}$", metadata, re.MULTILINE)
    assert entry_points == "[console_scripts]\nportico = portico.cli.main:main\n"
    assert all(re.search(r"[<>]", line) for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE))


def test_the_sbom_names_every_locked_package(built: Path) -> None:
    bill: dict[str, Any] = json.loads((built / f"portico_video-{__version__}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/portico-video@{__version__}"
    scopes = {component["purl"]: component["scope"] for component in bill["components"]}
    locked = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    pages = json.loads((ROOT / "frontend" / "package-lock.json").read_text())["packages"]
    assert len(locked) > 20 and {f"pkg:pypi/{name}@{version}" for name, version in locked} <= set(scopes)
    wanted = {(path.rpartition("node_modules/")[2], package["version"]) for path, package in pages.items() if path}
    assert {f"pkg:npm/{name.replace('@', '%40')}@{version}" for name, version in wanted} <= set(scopes)
    assert len(scopes) == len(set(locked)) + len(wanted)
    of = {purl.rpartition("@")[0]: scope for purl, scope in scopes.items()}
    assert (of["pkg:npm/%40telnyx/video"], of["pkg:npm/vite"], of["pkg:pypi/aiohttp"]) == (
        "required",
        "excluded",
        "required",
    )


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), *arguments]
    index = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    variables = {**os.environ, **({"UV_DEFAULT_INDEX": index} if index else {}), "UV_SYSTEM_CERTS": "true"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=WITHIN_SECS, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(
    wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
    portico: type[PorticoServer],
    loopback: str | None,
) -> Iterator[PorticoServer]:
    """The wheel in an environment of its own, serving with Debian's Janus where there is one; no Node is on PATH."""
    folder = tmp_path_factory.mktemp("installed")
    python = folder / "venv" / "bin" / "python"
    _uv("venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    install = ["pip", "install", "--quiet", "--python", str(python), str(wheel)]
    # What script/setup has fetched into uv's cache, or else from the index.
    try:
        _uv(*install, "--constraint", str(ROOT / "requirements.lock"), "--offline")
    except AssertionError:
        _uv(*install, "--constraint", str(ROOT / "requirements.lock"))
    programs = folder / "programs"
    programs.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    janus = shutil.which("janus") or str(ROOT / ".janus" / "bin" / "janus")
    server = portico(folder / "data", media_interface=loopback, janus_bin=janus)
    server.command = [str(python.parent / "portico"), "serve"]
    server.environment = {"PATH": f"{python.parent}:{programs}"}
    with server:
        yield server


async def test_the_installed_wheel_serves_its_pages(installed: PorticoServer) -> None:
    assert f"Portico {__version__} is ready." in installed.log
    async with aiohttp.ClientSession(installed.base_url) as http:
        for path in ("/", "/console", "/meet/a-room", "/connect.js", "/docs", "/check"):
            async with http.get(path) as answer:
                text = await answer.text()
                assert (answer.status, len(text) > 500) == (200, True), path
                for asset in re.findall(r"assets/[\w-]+\.\w+", text):
                    async with http.get(f"/{asset}") as loaded:
                        assert loaded.status == 200, asset
        async with http.get("/meet/a-room") as answer:
            assert directives(answer.headers["Content-Security-Policy"])["script-src"] == "'self'"


async def test_two_participants_receive_each_other_from_the_installed_wheel(installed: PorticoServer) -> None:
    headers = {"Authorization": f"Bearer {installed.api_key}"}
    async with aiohttp.ClientSession(installed.base_url, headers=headers) as http:
        async with http.post("/v2/rooms", json={"unique_name": "wheel"}) as answer:
            room_id = (await answer.json())["data"]["id"]
        async with http.post(f"/v2/rooms/{room_id}/actions/generate_join_client_token", json={}) as answer:
            token = (await answer.json())["data"]["token"]
    async with (
        SignalingBrowser(installed, room_id, token) as anna,
        SignalingBrowser(installed, room_id, token) as ben,
    ):
        await anna.join("Anna")
        await ben.join("Ben")
        async with Mixer(anna, Source(501, 0.3)) as from_anna, Mixer(ben, Source(899, 0.3)) as from_ben:
            async with asyncio.timeout(60):
                while level(await from_anna.listen(0.2), 899) < AUDIBLE_DB:
                    pass
                while level(await from_ben.listen(0.2), 501) < AUDIBLE_DB:
                    pass


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git repository with what the checks of a release read; everything is committed."""
    folder = tmp_path / "checkout"
    for name in ("script/release", "script/lib", "portico/__init__.py", "portico/db", "tests/db/schemas"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    (folder / "script" / "release").chmod(0o755)
    # The rest of a release is what --only-build makes; here the checks end before it.
    (folder / "script" / "setup").write_text("#!/bin/sh\nexit 77\n")
    (folder / "script" / "setup").chmod(0o755)
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__} - 2026-11-27\n\n### Added\n\n- A thing.\n")
    _keep_newest_schema(folder)
    _git(folder, "init", "--quiet")
    _commit(folder)
    return folder


def _keep_newest_schema(folder: Path) -> None:
    """While migrations are still added, the kept schema of this version is behind; that is a test of its own."""
    newest = max(path.name[:4] for path in (folder / "portico/db/migrations/versions").glob("[0-9]*.py"))
    for file in (folder / "tests/db/schemas").glob(f"{__version__}.*.sql"):
        file.write_text(re.sub(r"(alembic_version\S* VALUES ?)\('\w+'\)", rf"\1('{newest}')", file.read_text()))


def _git(folder: Path, *command: str) -> None:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *author, *command], cwd=folder, check=True, capture_output=True)


def _commit(folder: Path) -> None:
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=all", "--allow-empty")


def _release(folder: Path) -> tuple[int, str]:
    variables = {**os.environ, "PORTICO_PYTHON": sys.executable}
    command = [str(folder / "script" / "release")]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_release_that_is_ready_passes_all_checks(checkout: Path) -> None:
    assert _release(checkout) == (77, ""), "the checks end where script/setup begins"
    text = f"Portico {__version__}\n\n### Added\n\n- A thing."
    _git(checkout, "tag", "--annotate", "--cleanup=verbatim", f"--message={text}", f"v{__version__}")
    assert _release(checkout) == (77, "")


@pytest.mark.parametrize("fault", ["uncommitted", "unreleased", "section", "schema", "revision", "version", "tag"])
def test_a_release_that_is_not_ready_is_refused_with_the_reason(checkout: Path, fault: str) -> None:
    changelog, kept = checkout / "CHANGELOG.md", checkout / f"tests/db/schemas/{__version__}.sqlite.sql"
    match fault:
        case "uncommitted":
            (checkout / "notes").write_text("x")
            reason = "the checkout has changes that are not committed"
        case "unreleased":
            changelog.write_text(changelog.read_text() + "\n## Unreleased\n\n- Another thing.\n")
            reason = 'CHANGELOG.md has entries under "Unreleased"'
        case "section":
            changelog.write_text("# Changelog\n\n## 0.0.9\n\n- A thing.\n")
            reason = f'CHANGELOG.md has no section "## {__version__}"'
        case "schema":
            kept.unlink()
            reason = f"tests/db/schemas/{kept.name} is missing"
        case "revision":
            kept.write_text(re.sub(r"(alembic_version\S* VALUES ?)\('\w+'\)", r"\1('0002')", kept.read_text()))
            reason = f"tests/db/schemas/{kept.name} is not the schema of revision"
        case "version":
            (checkout / "portico/__init__.py").write_text('__version__ = "0.2.0.dev1"\n')
            reason = "0.2.0.dev1 is no version of the form 1.2.3"
        case "tag":
            _git(checkout, "tag", f"v{__version__}")
            reason = f"the tag v{__version__} is not annotated"
    if fault != "uncommitted":
        _commit(checkout)
    if fault == "tag":
        _git(checkout, "tag", "--force", f"v{__version__}")
    status, printed = _release(checkout)
    assert status == 1 and reason in printed, printed
