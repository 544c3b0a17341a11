"""Processes of single roles: two with the API, two media nodes and a worker, on one PostgreSQL and one store."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from portico.client import Published, Room, Tone
from portico.runtime.interfaces import interface_addresses
from tests.cli.here import run_here
from tests.client.parts import listen, next_of
from tests.cluster.cluster import Cluster
from tests.databases import PostgresCluster
from tests.gateway.check_client import CheckClient
from tests.gateway.media_peer import level
from tests.servers import PorticoServer, free_port
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, a_bucket

pytestmark = pytest.mark.one_janus


class Roles(Cluster):
    """`servers` are the processes with the API; `nodes` those with a Janus, by node id."""

    def __init__(
        self, postgres: PostgresCluster, name: str, apis: list[PorticoServer], media: list[PorticoServer]
    ) -> None:
        super().__init__(postgres, name, apis)
        self.nodes = {(one.data_dir / "place").read_text().strip(): one for one in media}
        self.settings = apis[0].settings
        self.addresses = {one.settings["node_address"] for one in media}

    def command(self, *arguments: str) -> object:
        """What `portico nodes ... --json` prints."""
        environment = {"PATH": os.environ["PATH"]}
        environment |= {f"PORTICO_{name.upper()}": value for name, value in self.settings.items()}
        done = subprocess.run(
            [sys.executable, "-m", "portico", "nodes", *arguments, "--json"],
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)


def address_of(interface: str | None) -> str:
    """An address of this interface."""
    return next(str(one.address) for one in interface_addresses() if interface in (None, one.interface))


@pytest.fixture(scope="module")
def roles(
    own_postgres: PostgresCluster,
    tmp_path_factory: pytest.TempPathFactory,
    portico: type[PorticoServer],
    loopback: str | None,
) -> Iterator[Roles]:
    own_postgres.execute("CREATE DATABASE roles")
    folder, bucket = tmp_path_factory.mktemp("roles"), a_bucket()
    settings = {
        "api_key": "KEY-of-all-processes",
        "database_url": own_postgres.url("roles"),
        "storage_url": f"s3://{BUCKET}/calls",
        "s3_endpoint": bucket.endpoint,
        "s3_region": REGION,
        "s3_access_key_id": ACCESS_KEY,
        "s3_secret_access_key": SECRET_KEY,
        "empty_session_grace_secs": "1",
    }

    def process(role: str, name: str, **more: str) -> PorticoServer:
        server = portico(folder / name, **settings, **more)
        server.command = (sys.executable, "-m", "portico", role)
        return server

    with bucket.up(), ExitStack() as started:
        addresses = "127.0.0.1", address_of(loopback)  # each node at an address of its own
        media = [
            process("media", f"m{n}", node_address=address, node_port=str(free_port()))
            for n, address in enumerate(addresses)
        ]
        for one in media:
            started.enter_context(one)
        apis = [started.enter_context(process("api", f"a{n}")) for n in range(2)]
        started.enter_context(process("worker", "w"))
        yield Roles(own_postgres, "roles", apis, media)


def join(roles: Roles, api: int, room: str) -> Room:
    return Room.join(roles.servers[api].base_url, room, roles.rooms[api].token(room))


async def test_media_of_a_call_through_two_processes_arrive_and_are_recorded_by_a_third(roles: Roles) -> None:
    room = roles.rooms[0].create(enable_recording=True)
    async with join(roles, 0, room) as anna, join(roles, 1, room) as ben:
        await anna.publish(audio=Tone(440))
        person = (await next_of(ben.events(), Published)).participant
        await listen(person.audio(), 0.3)
        assert level(await listen(person.audio(), 1.0), 440) > -20
        assert roles.node_of(room) in roles.nodes
    await roles.settles(room)
    ((key,),) = roles.query("SELECT object_key FROM room_recordings WHERE room_id = %s AND type = 'audio'", room)
    assert key is not None


async def test_a_drained_node_takes_no_new_room(roles: Roles) -> None:
    drained, other = roles.nodes
    made = [roles.rooms[0].create() for _ in range(3)]
    assert roles.command("drain", drained)[0]["state"] == "draining"  # type: ignore[index]
    try:
        for room in made:
            async with roles.rooms[0].browser(room) as anna:
                await anna.join()
                assert roles.node_of(room) == other
    finally:
        assert roles.command("resume", drained)[0]["state"] == "active"  # type: ignore[index]
    listed = roles.command("list")
    assert {one["id"]: one["is_up"] for one in listed} == {drained: True, other: True}  # type: ignore[attr-defined]
    assert {urlsplit(one["url"]).hostname for one in listed} == roles.addresses  # type: ignore[attr-defined]
    assert "api_secret" not in str(listed)
    for room in made:
        await roles.settles(room)


async def test_a_process_without_media_says_that_it_has_no_connection_check(roles: Roles) -> None:
    async with CheckClient(roles.servers[0].base_url) as client:
        refused = await client.begin()
    assert (refused["check"], refused["reason"]) == ("refused", "media")
    assert refused["sentence"] == "This server has no media server of its own, so it offers no connection check."


@pytest.mark.parametrize(
    ("settings", "variable"),
    [({}, "PORTICO_DATABASE_URL"), ({"DATABASE_URL": "postgresql://nowhere/x"}, "PORTICO_STORAGE_URL")],
)
@pytest.mark.parametrize("role", ["api", "worker", "media"])
def test_a_single_role_refuses_sqlite_and_a_local_store(
    role: str,
    settings: dict[str, str],
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, printed = run_here(monkeypatch, capsys, tmp_path, role, DATA_DIR=str(tmp_path), **settings)
    assert status == 2
    (line,) = printed.splitlines()
    assert line.startswith(f"portico: {variable}: portico {role} shares its")
