"""The image is built without a container engine, and run as one would run it: a call in it, a recording, its end."""

import asyncio
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portico.runtime.interfaces import interface_addresses
from tests.databases import PostgresCluster
from tests.deploy.engine import BUILDS_WITHIN_SECS, NEEDS, Container, Image, built_image, filled, is_possible, service
from tests.edge.turn_client import free_turn_port, reached
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import Mixer, Source, Videos, level
from tests.parts import BUILT
from tests.servers import free_port
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, a_bucket
from tests.waiting import until

pytestmark = [
    pytest.mark.timeout(BUILDS_WITHIN_SECS + 120),
    pytest.mark.one_janus,
    pytest.mark.skipif(not is_possible(), reason=f"needs root and {', '.join(NEEDS)}"),
]

USER = 64163
SIZE_MAX_MB = 850
"""The most megabytes of the image's files; Debian's ffmpeg, its fonts and Caddy make most of it."""
UNWANTED = ("gcc", "cc", "g++", "make", "node", "npm", "pip", "pip3", "uv", "curl", "wget", "git", "sudo")
WANTED = ("caddy", "ffmpeg", "ffprobe", "haproxy", "turnserver", "tini", "portico", "/opt/janus/bin/janus")
AUDIBLE_DB = -40.0
RECORDED_SECS = 2.0


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image of this checkout."""
    if not BUILT.exists():
        pytest.skip("script/build-janus has built no Janus to take into the image")
    with built_image(BUILT.parents[1]) as image:
        yield image


@pytest.fixture(scope="module")
def container(image: Image, tmp_path_factory: pytest.TempPathFactory, loopback: str | None) -> Iterator[Container]:
    """A running one, whose volume belongs to the image's user, as an engine makes it."""
    folder = tmp_path_factory.mktemp("container")
    volume = folder / "volume"
    volume.mkdir(mode=0o700)
    shutil.chown(volume, USER, USER)
    turn = str(free_turn_port())
    chosen = Container(
        image, folder / "bundle", volume, media_interface=loopback, log_level="debug", turn="on", turn_port=turn
    )
    with chosen as running:
        yield running


def test_the_image_has_all_that_a_call_needs_and_nothing_that_builds_programs(image: Image) -> None:
    found = image.run("sh", "-c", f"for name in {' '.join(UNWANTED)}; do command -v $name; done; true")
    assert found == ""
    for name in WANTED:
        assert image.run("sh", "-c", f"command -v {name}")
    programs = "/usr/bin/ffmpeg /usr/bin/caddy /usr/bin/turnserver /usr/sbin/haproxy /opt/janus/bin/janus"
    libraries = image.run("sh", "-c", f"ldd {programs} /opt/janus/lib/janus/*/*.so 2>&1")
    assert "libnice.so" in libraries and "not found" not in libraries
    fonts = image.run("fc-list", ":", "family")
    assert {"Noto Sans", "Noto Sans CJK JP", "Symbola"} <= set(fonts.replace(",", "\n").splitlines())
    assert image.run("find", "/", "-xdev", "-perm", "/6000", "-type", "f") == ""


def test_the_image_has_no_secret_and_none_of_what_it_is_made_from(image: Image) -> None:
    folders = "/run/secrets /root /src /tmp /var/tmp /var/lib/portico"
    left = image.run("sh", "-c", f"find {folders} -type f 2>/dev/null; true").split()
    assert sorted(left) == ["/root/.bashrc", "/root/.profile"]
    assert image.run("find", "/opt", "-name", "*.key", "-o", "-name", ".env", "-o", "-name", "node_modules") == ""
    names = [variable.partition("=")[0] for variable in image.settings["Env"]]
    assert names == ["PATH", "PORTICO_HOST", "PORTICO_DATA_DIR"]


def test_the_image_is_as_small_as_it_was(image: Image) -> None:
    measured = subprocess.run(["du", "-xsm", image.files], check=True, capture_output=True, text=True).stdout
    whole = int(measured.split()[0])
    parts = image.run("du", "-xsm", "/opt/portico", "/opt/janus", "/usr/share/fonts", "/usr/bin/caddy")
    print(f"image: {whole} MB\n{parts}")
    assert whole < SIZE_MAX_MB


def test_the_container_is_healthy_without_root_on_a_root_that_is_read_only(container: Container) -> None:
    assert container.run(*container.health_check).returncode == 0
    for folder in ("/", "/opt/portico", "/etc", "/usr/local/bin"):
        assert "Read-only file system" in container.run("touch", f"{folder}/x").stderr
    tree = _processes(container)
    assert {one["Uid"].split()[0] for one in tree.values()} == {str(USER)}
    assert {"tini", "portico", "janus"} <= {*tree}
    assert {name: int(one["CapEff"], 16) for name, one in tree.items() if name in ("tini", "janus")} == {
        "tini": 0,
        "janus": 0,
    }
    assert int(tree["portico"]["CapEff"], 16) == 1 << 10  # for Caddy's ports, handed on to Caddy alone
    assert tree["janus"]["NoNewPrivs"] == "1"
    assert "children.protected" in container.log and "children.less_protected" not in container.log


async def test_the_relay_reaches_no_other_service_of_the_machine(container: Container, loopback: str) -> None:
    """Neither one on Janus' address nor one on all addresses, without root and without a packet filter."""
    (janus,) = [str(each.address) for each in interface_addresses() if each.interface == loopback]
    secret = (container.volume / "edge" / "turn-secret").read_text()
    turn = "127.0.0.1", int(container.settings["turn_port"])
    for address in (janus, "0.0.0.0"):
        assert not await reached(turn, secret, peer=janus, media=29_999, service_on=address)


async def test_with_postgresql_and_a_store_as_the_compose_file_has_them(
    image: Image, own_postgres: PostgresCluster, loopback: str | None, tmp_path: Path
) -> None:
    """The file's environment and health check; the test's own PostgreSQL and S3 in place of the file's images."""
    file, bucket, database_port = "deploy/compose.postgresql.yaml", a_bucket(), free_port()
    database, volume = service(file, "database"), tmp_path / "volume"
    volume.mkdir(mode=0o700)
    shutil.chown(volume, USER, USER)
    variables = {
        "POSTGRES_PASSWORD": "secret",
        "PORTICO_STORAGE_URL": f"s3://{BUCKET}/recordings",
        "PORTICO_S3_ENDPOINT": bucket.endpoint,
        "PORTICO_S3_REGION": REGION,
        "PORTICO_S3_ACCESS_KEY_ID": ACCESS_KEY,
        "PORTICO_S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    of_database = filled(database["environment"], variables)
    own_postgres.stop()
    own_postgres.start(tcp_port=database_port)
    own_postgres.execute(
        f"CREATE ROLE {of_database['POSTGRES_USER']} LOGIN PASSWORD '{of_database['POSTGRES_PASSWORD']}'"
    )
    own_postgres.execute(f"CREATE DATABASE {of_database['POSTGRES_DB']} OWNER {of_database['POSTGRES_USER']}")
    _, *healthy = database["healthcheck"]["test"]
    subprocess.run([*healthy, "--host=127.0.0.1", f"--port={database_port}"], check=True, capture_output=True)
    url = filled(service(file)["environment"], variables)["PORTICO_DATABASE_URL"]
    container = Container(
        *(image, tmp_path / "bundle", volume),
        media_interface=loopback,
        compose=file,
        variables=variables,
        database_url=url.replace(":5432/", f":{database_port}/"),
    )
    with bucket.up(), container as running:
        rooms = Rooms(running)
        room = rooms.create(enable_recording=True)
        async with rooms.browser(room) as anna:
            await anna.join("Anna")
            async with Mixer(anna, Source(501, 0.5)) as mixer, Videos(anna) as published:
                await published.publish()
                await mixer.listen(RECORDED_SECS)
        contents = [_download(one) for one in await until(lambda: _completed(running, 2))]
        assert {content[:4] for content in contents} == {b"\x1aE\xdf\xa3", b"OggS"}
        kept = bucket.keys()
        assert len([key for key in kept if key.startswith("recordings/recordings/")]) == 2
    assert own_postgres.query(of_database["POSTGRES_DB"], "SELECT count(*) FROM room_recordings") == [(2,)]


async def test_two_people_meet_and_their_recording_outlives_the_container(container: Container) -> None:
    rooms = Rooms(container)
    room = rooms.create(enable_recording=True)
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        await anna.join("Anna")
        await ben.join("Ben")
        async with Mixer(anna, Source(501, 0.5)) as anna_mixer, Mixer(ben, Source(899, 0.5)) as ben_mixer:
            assert await _receives(ben_mixer, 501) and await _receives(anna_mixer, 899)
            async with Videos(anna) as published, Videos(ben) as seen:
                await seen.subscribe(await published.publish())
                assert len(await ben_mixer.listen(RECORDED_SECS))
    contents = [_download(one) for one in await until(lambda: _completed(container, 2))]
    assert {content[:4] for content in contents} == {b"\x1aE\xdf\xa3", b"OggS"}  # WebM, Ogg
    begun = time.monotonic()
    assert await asyncio.to_thread(container.terminate) == 0
    print(f"stopped after {time.monotonic() - begun:.1f} s")
    await asyncio.to_thread(container.restart)
    assert [_download(one) for one in _completed(container, 2)] == contents


def _download(recording: dict[str, Any]) -> bytes:
    with urllib.request.urlopen(recording["download_url"], timeout=10) as answer:
        content: bytes = answer.read()
    return content


def _completed(container: Container, count: int) -> list[dict[str, Any]]:
    """Wait until so many recordings are completed; returns them."""
    found = [one for one in container.get("/v2/room_recordings")["data"] if one["status"] == "completed"]
    return found if len(found) == count else []


async def _receives(listener: Mixer, hertz: int) -> bool:
    async with asyncio.timeout(30):
        while level(await listener.listen(0.2), hertz) < AUDIBLE_DB:
            pass
    return True


def _processes(container: Container) -> dict[str, dict[str, str]]:
    """The contents of /proc/PID/status of each program in the container, by its name."""
    ended = container.run("sh", "-c", "for p in /proc/[0-9]*; do cat $p/status; echo; done")
    blocks = [
        dict(line.split(":\t", 1) for line in block.splitlines()) for block in ended.stdout.split("\n\n") if block
    ]
    return {block["Name"]: block for block in blocks if block["Name"] not in ("sh", "cat")}
