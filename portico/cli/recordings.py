"""`portico recordings` and `portico compositions`: list both, create a composition, watch its progress."""

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from portico.cli.terminal import Refused, printable, table
from portico.cli.webhooks import with_database
from portico.config.settings import load

if TYPE_CHECKING:  # all of these are slow to import
    from rich.progress import Progress
    from sqlalchemy import Column, Row, Table

    from portico.app.workers import Storage
    from portico.core.model import Composition, Recording
    from portico.db.engine import Database, Transaction

recordings = typer.Typer(help="Recordings: one file for each track of a session.", no_args_is_help=True)
compositions = typer.Typer(help="Compositions: one video of a whole session.", no_args_is_help=True)

POLL_SECS = 0.5
_Session = Annotated[str | None, typer.Option(help="Only of the session with this id.")]
_Limit = Annotated[int, typer.Option(min=1, max=250, help="Largest number to show.")]


@recordings.command("list")
def list_recordings(
    session: _Session = None,
    links: Annotated[bool, typer.Option("--links", help="With download links, which are valid for an hour.")] = False,
    limit: _Limit = 20,
) -> None:
    """Show the newest recordings of all accounts."""

    async def read(db: "Database") -> list[tuple[str, ...]]:
        from portico.core.model import Recording
        from portico.services.recordings import RECORDINGS

        found = await db.read(partial(_newest, table=RECORDINGS, seen=RECORDINGS.c.started_at, of=session, most=limit))
        storage = await _storage(db) if links else None
        return [_recording_line(_as(Recording, each), storage) for each in found]

    headings = ("Recording", "Session", "Participant", "Type", "Status", "Started", "Length", "MB")
    table((*headings, "Link") if links else headings, with_database(read))


@compositions.command("list")
def list_compositions(session: _Session = None, limit: _Limit = 20) -> None:
    """Show the newest compositions of all accounts."""

    async def read(db: "Database") -> list[tuple[str, ...]]:
        from portico.core.model import Composition
        from portico.services.compositions import COMPOSITIONS

        step = partial(_newest, table=COMPOSITIONS, seen=COMPOSITIONS.c.created_at, of=session, most=limit)
        return [_composition_line(_as(Composition, each)) for each in await db.read(step)]

    headings = ("Composition", "Session", "Status", "Progress", "Resolution", "Created", "Length", "MB", "Failure")
    table(headings, with_database(read))


@compositions.command()
def create(
    session: Annotated[str, typer.Argument(metavar="SESSION_ID", help="The session to compose.")],
    resolution: Annotated[str | None, typer.Option(help="Width and height, for example 640x360.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress until it is completed.")] = False,
) -> None:
    """Create a composition of a session, which the running server makes. The id is the last word of the output."""
    from portico.core.errors import Invalid

    body = {"session_id": session} | ({} if resolution is None else {"resolution": resolution})

    def request(tx: "Transaction") -> str:
        from portico.services import compositions

        settings = load()
        sound = settings.composition_audio == "all"
        account_id = _session(tx, session).account_id
        regions = settings.composition_regions
        make = partial(compositions.create, regions_max=regions, sound_by_default=sound, now=datetime.now(UTC))
        return make(tx, account_id, body).id

    try:
        composition_id = with_database(lambda db: db.write(request))
    except Invalid as wrong:
        raise Refused(" ".join(printable(fault.detail) for fault in wrong.faults)) from None
    print(f"The server makes the composition {composition_id}", flush=True)
    if watch:
        _watch(composition_id)


@compositions.command("watch")
def watch_composition(
    composition: Annotated[str, typer.Argument(metavar="ID", help="The composition's id.")],
) -> None:
    """Show the progress of a composition until it is completed or has failed. Ctrl-C does not stop its making.

    When it is completed, the last word of the output is its download link; when it has failed, the exit status is 1.
    """
    _watch(composition.lower())


def _watch(composition_id: str) -> None:
    """Raises typer.Exit(1) when the composition has failed, Refused when there is none with this id."""

    async def follow(db: "Database") -> "tuple[Composition, Storage]":
        with _Progress() as progress:
            while True:
                seen = await db.read(partial(_composition, composition_id=composition_id))
                progress.show(seen)
                if seen.status in ("completed", "failed"):
                    return seen, await _storage(db)
                await asyncio.sleep(POLL_SECS)

    try:
        composition, storage = with_database(follow)
    except KeyboardInterrupt:
        again = f"portico compositions watch {composition_id} shows its progress again."
        print(f"The server goes on with the composition: {again}", file=sys.stderr)
        raise
    if composition.object_key is None:
        _fail(composition.failure or "The composition failed.")
    link = storage.link(composition.object_key, composition.file_name)
    print(f"{_length(composition)}, {_megabytes(composition)} MB: {link}")


class _Progress:
    """A progress bar on a terminal; on other outputs a line for each change."""

    def __init__(self) -> None:
        self._drawn: Progress | None = None
        self._printed = ""

    def __enter__(self) -> "_Progress":
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            self._drawn = Progress(*columns)
            self._drawn.start()
            self._drawn.add_task("", total=1.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn is not None:
            self._drawn.stop()

    def show(self, composition: "Composition") -> None:
        """Show the present status and progress."""
        if self._drawn is not None:
            (task,) = self._drawn.task_ids
            self._drawn.update(task, description=composition.status, completed=composition.progress, refresh=True)
            return
        is_processing = composition.status == "processing"
        line = f"processing {_percent(composition)}" if is_processing else composition.status
        if line != self._printed:
            self._printed = line
            print(line, flush=True)


def _newest(
    tx: "Transaction", table: "Table", seen: "Column[Any]", of: str | None, most: int
) -> "list[Row[tuple[Any, ...]]]":
    """The newest rows of all accounts, without those that the API does not show: their `seen` is null."""
    from sqlalchemy import select

    where = [seen.is_not(None)]
    if of is not None:
        where.append(table.c.session_id == _session(tx, of).id)
    newest = (table.c.created_at.desc(), table.c.id.desc())
    return list(tx.execute(select(table).where(*where).order_by(*newest).limit(most)))


def _session(tx: "Transaction", session_id: str) -> "Row[tuple[Any, ...]]":
    from sqlalchemy import select

    from portico.db.schema import room_sessions

    found = tx.execute(select(room_sessions).where(room_sessions.c.id == session_id.lower())).first()
    if found is None:
        raise Refused(f"There is no session {printable(session_id)}: GET /v2/room_sessions lists all sessions.")
    return found


def _composition(tx: "Transaction", composition_id: str) -> "Composition":
    from sqlalchemy import select

    from portico.core.model import Composition
    from portico.services.compositions import COMPOSITIONS

    found = tx.execute(select(COMPOSITIONS).where(COMPOSITIONS.c.id == composition_id)).first()
    if found is None:
        listing = "portico compositions list shows the newest."
        raise Refused(f"There is no composition {printable(composition_id)}: {listing}")
    composition: Composition = _as(Composition, found)
    return composition


def _as(kind: Any, row: "Row[tuple[Any, ...]]") -> Any:
    """The row as an object of this class, without the columns that the class does not have."""
    return kind(**{name: getattr(row, name) for name in kind.__dataclass_fields__})


async def _storage(db: "Database") -> "Storage":
    """The store of the settings, for download links. They are valid if the running server has the same settings."""
    from portico.app.workers import open_storage

    return await open_storage(load(), db, lambda: datetime.now(UTC))


def _recording_line(row: "Recording", storage: "Storage | None") -> tuple[str, ...]:
    line = (row.id, row.session_id, row.participant_id, row.type, row.status, _instant(row.started_at))
    link = () if storage is None else ("" if row.object_key is None else storage.link(row.object_key, row.file_name),)
    return (*line, _length(row), _megabytes(row), *link)


def _composition_line(row: "Composition") -> tuple[str, ...]:
    line = (row.id, row.session_id, row.status, _percent(row), row.resolution, _instant(row.created_at))
    return (*line, _length(row), _megabytes(row), row.failure or "")


def _percent(row: "Composition") -> str:
    return f"{int(row.progress * 100)} %"


def _length(row: "Recording | Composition") -> str:
    return "" if row.duration_secs is None else f"{row.duration_secs // 60}:{row.duration_secs % 60:02}"


def _megabytes(row: "Recording | Composition") -> str:
    from portico.core.events import megabytes

    return "" if row.size_bytes is None else f"{megabytes(row.size_bytes):g}"


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def _fail(failure: str) -> NoReturn:
    print(f"portico: {printable(failure)}", file=sys.stderr)
    raise typer.Exit(1)
