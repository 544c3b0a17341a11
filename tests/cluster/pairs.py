"""Two processes of each role on one PostgreSQL and one store, and the cables between them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from portico.janus.config import AUDIOBRIDGE, TEXTROOM, VIDEOROOM
from portico.janus.link import JanusLink
from tests.cluster.cable import Cable
from tests.cluster.cluster import Cluster
from tests.databases import PostgresCluster
from tests.receiver import Receiver
from tests.servers import PorticoServer, free_port
from tests.set_clock import SetClock, displaced
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Bucket, a_bucket
from tests.waiting import until, until_in_thread

ROOT = Path(__file__).parents[2]
DELIVERED_WITHIN_SECS = 60.0
EMPTY_WITHIN_SECS = 60.0
"""Rooms that a killed gateway left are in Janus for 30 s more, and its lease for 15 s."""
_FILES = """
SELECT object_key, size_bytes, EXTRACT(EPOCH FROM started_at - joined_at)::float
FROM room_recordings JOIN room_participants USING (room_id, session_id)
WHERE room_participants.id = participant_id AND room_recordings.room_id = %s AND object_key IS NOT NULL
"""
_LEADS_OVER_CABLES = """
CREATE FUNCTION over_cable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.url := CASE NEW.url {cases} ELSE NEW.url END;
    RETURN NEW;
END $$;
CREATE TRIGGER over_cable BEFORE INSERT OR UPDATE ON media_nodes FOR EACH ROW EXECUTE FUNCTION over_cable();
"""
"""So that processes with the API find the end of a cable where a node has registered the port of its Janus."""


class Pairs(Cluster):
    """`servers` are the processes with the API, `media` and `workers` the others; `cables` lead to the nodes by id."""

    def __init__(
        self, postgres: PostgresCluster, name: str, of_roles: dict[str, list[PorticoServer]], bucket: Bucket
    ) -> None:
        super().__init__(postgres, name, of_roles["api"])
        self.postgres = postgres
        self.workers, self.media = of_roles["worker"], of_roles["media"]
        self.nodes = {(one.data_dir / "place").read_text().strip(): one for one in self.media}
        self.settings = self.servers[0].settings
        self.bucket = bucket
        self.cables: dict[str, Cable] = {}
        self.store: Cable
        self.clock: SetClock

    @property
    def all_processes(self) -> list[PorticoServer]:
        return [*self.servers, *self.workers, *self.media]

    def command(self, *arguments: str) -> object:
        """What `portico nodes ... --json` prints."""
        environment = {"PATH": os.environ["PATH"]}
        environment |= {f"PORTICO_{name.upper()}": value for name, value in self.settings.items()}
        done = subprocess.run(
            [sys.executable, "-m", "portico", "nodes", *arguments, "--json"],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(done.stdout)

    def numbers(self, room: str) -> list[tuple[int, int]]:
        """(number in VideoRoom and AudioBridge, number in TextRoom) of the room's occupations that have a row."""
        return self.query("SELECT video, text FROM media_rooms WHERE room_id = %s", room)

    async def janus_has(self, numbers: list[tuple[int, int]]) -> list[tuple[str, int]]:
        """(plugin, number) of those rooms that exist in the Janus of any node that is up."""
        found = []
        for url, secret in self.query("SELECT url, api_secret FROM media_nodes WHERE is_up"):
            link = await JanusLink.open(url, secret, deadline=10)
            for video, text in numbers:
                for plugin, number in ((VIDEOROOM, video), (AUDIOBRIDGE, video), (TEXTROOM, text)):
                    answer = await link.request(plugin, {"request": "exists", "room": number}, deadline=10)
                    if answer["exists"]:
                        found.append((plugin, number))
            await link.close()
        return found

    async def invariants(self, room: str, receiver: Receiver, numbers: list[tuple[int, int]]) -> None:
        """What has to be true of a room after each failure, by rows, requests of the receiver, files and Janus."""
        await self.settles(room)
        events = self.query("SELECT id FROM events WHERE room_id = %s", room)
        written = {event_id for (event_id,) in events}

        def received() -> set[str]:
            return {request.event["id"] for request in receiver.requests}

        await until(lambda: written <= received(), DELIVERED_WITHIN_SECS, "all events have arrived")
        assert received() == written, "no event arrives that is no row"
        pending = "SELECT id FROM webhook_deliveries WHERE room_id = %s AND status <> 'delivered'"
        await until_in_thread(lambda: not self.query(pending, room), DELIVERED_WITHIN_SECS, "no delivery is pending")
        for key, size, displaced_secs in self.query(_FILES, room):
            head = await asyncio.to_thread(self.bucket.client.head_object, Bucket=BUCKET, Key=f"calls/{key}")
            assert head["ContentLength"] == size
            assert -1 < displaced_secs < 10, "a recording begins soon after its participant has joined"

        async def is_empty() -> bool:
            return not await self.janus_has(numbers)

        await until(is_empty, EMPTY_WITHIN_SECS, f"{room}: nothing of it is in any Janus")


@contextmanager
def running_pairs(postgres: PostgresCluster, folder: Path, server: type[PorticoServer]) -> Iterator[Pairs]:
    """Two processes of each role. The clock of the database is a minute ahead of those of the machines.

    The second API process and the second worker have a clock that a test sets, another minute behind at first.

    The second API process and the second worker reach PostgreSQL through PgBouncer in transaction mode.
    """
    postgres.stop()
    postgres.environment = displaced(60)
    postgres.start()
    postgres.execute("CREATE DATABASE pairs TEMPLATE portico_template")
    bucket = a_bucket()
    ports = [free_port() for _ in range(2)]
    clock = SetClock(folder / "clock")
    clock.set(-60)
    with ExitStack() as started:
        started.enter_context(bucket.up())
        store = started.enter_context(Cable(bucket.port))
        cables = [started.enter_context(Cable(port)) for port in ports]
        pooled = started.enter_context(postgres.behind_pgbouncer("server_login_retry = 1"))
        settings = {
            "api_key": "KEY-of-all-processes",
            "storage_url": f"s3://{BUCKET}/calls",
            "s3_endpoint": f"http://127.0.0.1:{store.port}",
            "s3_region": REGION,
            "s3_access_key_id": ACCESS_KEY,
            "s3_secret_access_key": SECRET_KEY,
            "empty_session_grace_secs": "1",
        }
        cases = " ".join(
            f"WHEN 'ws://127.0.0.1:{port}' THEN 'ws://127.0.0.1:{cable.port}'"
            for port, cable in zip(ports, cables, strict=True)
        )
        postgres.query_all("pairs", _LEADS_OVER_CABLES.format(cases=cases))

        def process(role: str, number: int, **more: str) -> PorticoServer:
            url = postgres.url("pairs")
            if number == 1 and role != "media":
                url = f"postgresql://postgres@/pairs?host={pooled}&port=6432"
            made = server(folder / f"{role}{number}", database_url=url, **settings, **more)
            made.command = (sys.executable, "-m", "portico", role)
            return clock.rule(made, role) if number == 1 and role != "media" else made

        of_roles: dict[str, list[PorticoServer]] = {
            "media": [process("media", n, node_address="127.0.0.1", node_port=str(ports[n])) for n in range(2)],
            "api": [process("api", n) for n in range(2)],
            "worker": [process("worker", n) for n in range(2)],
        }
        _start_all(of_roles, started)
        pairs = Pairs(postgres, "pairs", of_roles, bucket)
        pairs.store, pairs.clock = store, clock
        pairs.cables = {node_id: cables[of_roles["media"].index(one)] for node_id, one in pairs.nodes.items()}
        yield pairs


def _start_all(of_roles: dict[str, list[PorticoServer]], started: ExitStack) -> None:
    """Start all at once; on leaving they are stopped one after the other, media nodes last."""
    processes = [one for role in ("media", "worker", "api") for one in of_roles[role]]
    with ThreadPoolExecutor(len(processes)) as threads:
        starting = [threads.submit(one.start) for one in processes]
    for one, outcome in zip(processes, starting, strict=True):
        outcome.result()
        started.push(one)
