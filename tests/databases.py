"""Both databases for tests: an SQLite file, and PostgreSQL from a throw-away cluster; each test gets a fresh copy."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import Connection, Dialect, Engine, event

from portico.db.connect import open_database
from portico.db.engine import Database
from portico.db.migrate import upgrade

__all__ = [
    "database",
    "database_url",
    "own_postgres",
    "postgres_cluster",
    "postgres_server",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]

STARTS_WITHIN_SECS = 60.0
STOPS_WITHIN_SECS = 60.0
_TEMPLATE = "portico_template"
_DIES_WITH_US = ["setpriv", "--pdeathsig=INT"]  # also when the test run is killed
_FAST_AND_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


_DIALECTS: dict[type[Dialect], Dialect] = {}
_COMPILED: dict[Any, Any] = {}


@event.listens_for(Engine, "engine_connect")
def _compile_once(connection: Connection) -> None:
    """All databases of a kind share what SQLAlchemy has compiled for them; by itself, it keeps that for each engine.

    It takes a third of what tests of services compute. The dialect is part of the key of what is kept.
    """
    engine = connection.engine
    engine.dialect = connection.dialect = _DIALECTS.setdefault(type(engine.dialect), engine.dialect)
    connection.execution_options(compiled_cache=_COMPILED)


class PostgresCluster:
    """A PostgreSQL server of our own; `directory` holds its files and its socket."""

    def __init__(self, directory: Path, binaries: Path) -> None:
        self.directory = directory
        self.binaries = binaries
        self._as_owner = _hand_over(directory)
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 5432  # the name of the socket has it, too
        self.environment: dict[str, str] = {}
        """Variables of the server, from its next start on."""

    def url(self, name: str) -> str:
        """Where a database of this cluster is."""
        return f"postgresql://postgres@/{name}?host={self.directory}&port={self._port}"

    @property
    def pid(self) -> int:
        """The id of its first process, the parent of all others."""
        assert self._server is not None
        return self._server.pid

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction, as CREATE DATABASE needs it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def query(self, name: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a database."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def query_all(self, name: str, statements: str) -> None:
        """Run several statements in a database."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statements)

    def make(self) -> None:
        """Write the files of a cluster without databases."""
        files = str(self.directory / "files")
        command = [*self._as_owner, str(self.binaries / "initdb"), "-D", files]
        command += ["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def start(self, tcp_port: int | None = None) -> None:
        """Returns when it answers, on its socket and, if wanted, on a port of 127.0.0.1."""
        options = [f"-c{name}={value}" for name, value in _FAST_AND_UNSAFE.items()]
        files = str(self.directory / "files")
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        command = [*self._as_owner, "env", *variables, str(self.binaries / "postgres"), "-D", files]
        command += ["-k", str(self.directory)]
        self._port = tcp_port or 5432
        listens = [f"-clisten_addresses={'127.0.0.1' if tcp_port else ''}", f"-p{self._port}"]
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen([*command, *listens, *options], stdout=log, stderr=log, cwd=self.directory)
        _wait_until_up(self, self._server)

    def stop(self) -> None:
        """What PostgreSQL calls a fast shutdown: connections are closed."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(STOPS_WITHIN_SECS)
            self._server = None

    def suspend(self, number: signal.Signals = signal.SIGSTOP) -> None:
        """Keep all its processes from running, with connections left open; SIGCONT lets them go on."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        for pid in (self._server.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):  # a child whose client is gone ends as soon as it goes on
                os.kill(pid, number)

    @contextlib.contextmanager
    def behind_pgbouncer(self, *settings: str) -> Iterator[str]:
        """A directory with the socket of a PgBouncer in transaction mode, at port 6432."""
        pgbouncer = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if pgbouncer is None:
            pytest.fail("PgBouncer is not installed: apt-get install pgbouncer")
        folder = self.directory / f"pgbouncer-{uuid4().hex[:8]}"
        config = folder / "pgbouncer.ini"
        subprocess.run([*self._as_owner, "mkdir", str(folder)], check=True)
        (folder / "users").write_text('"postgres" ""\n')
        lines = [f"unix_socket_dir = {folder}", "listen_port = 6432", "auth_type = any", "pool_mode = transaction"]
        lines += ["default_pool_size = 3", f"auth_file = {folder / 'users'}", *settings]
        database = f"* = host={self.directory} user=postgres"
        config.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines, ""]))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*self._as_owner, pgbouncer, str(config)], stdout=log, stderr=log, cwd=folder)
        try:
            deadline = time.monotonic() + STARTS_WITHIN_SECS
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
            yield str(folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOPS_WITHIN_SECS)


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresCluster]:
    """A running PostgreSQL from the distribution's package, with a migrated database that tests copy."""
    binaries = _binaries()
    if binaries is None:
        reason = "PostgreSQL is not installed: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(reason)  # nothing is skipped there
        pytest.skip(reason)
    directory = Path(tempfile.mkdtemp(prefix="portico-pg-", dir=_fastest_place()))
    try:
        cluster = PostgresCluster(directory, binaries)
        cluster.make()
        try:
            cluster.start()
            cluster.execute(f"CREATE DATABASE {_TEMPLATE}")
            _migrate(cluster.url(_TEMPLATE))
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that tests copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    with_journal = [each for each in path.parent.iterdir() if each != path]
    assert not with_journal, "the template's journal was not folded back"
    return path


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """The server that all tests share."""
    with postgres_server() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresCluster]:
    """A server that the tests of a module may stop and suspend; its database `postgres` is empty."""
    with postgres_server() as cluster:
        yield cluster


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite file."""
    path = tmp_path / "portico.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    name = f"test_{uuid4().hex}"
    postgres_cluster.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield postgres_cluster.url(name)
    postgres_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """One after the other: a fresh database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database, open."""
    opened = open_database(database_url)
    try:
        yield opened
    finally:
        await opened.close()


def _migrate(url: str) -> None:
    database = open_database(url)
    upgrade(database.engine)
    database.engine.dispose()


def _binaries() -> Path | None:
    """The newest version that Debian's packages put in place."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _hand_over(directory: Path) -> list[str]:
    """PostgreSQL refuses to run as root: give another user the directory, and return the command that becomes it."""
    if os.geteuid() != 0:
        return [*_DIES_WITH_US, "--"]
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = known.get("postgres") or known["nobody"]
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    return [*_DIES_WITH_US, f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--"]


def _wait_until_up(cluster: PostgresCluster, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECS
    while True:
        try:
            cluster.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((cluster.directory / "log").read_text()) from None
            time.sleep(0.05)


def _fastest_place() -> Path | None:
    """Memory instead of a disk, where there is a gigabyte of it to spare."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30 else None
