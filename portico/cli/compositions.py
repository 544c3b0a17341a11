"""`portico compositions`: list them, create one, watch its progress."""

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from portico.cli.installation import storage, with_database
from portico.cli.recordings import LimitOption, SessionOption, length, session_row, size_mb
from portico.cli.terminal import CommandRefused, instant, printable, table
from portico.config.settings import load

if TYPE_CHECKING:  # all of these are slow to import
    from rich.progress import Progress

    from portico.app.workers import Storage
    from portico.core.model import Composition
    from portico.db.engine import Database, Transaction

compositions = typer.Typer(help="Compositions: one video of a whole session.", no_args_is_help=True)

POLL_SECS = 0.5


@compositions.command("list")
def list_compositions(session: SessionOption = None, limit: LimitOption = 20) -> None:
    """Show the newest compositions of all accounts."""

    def read(tx: "Transaction") -> list[tuple[str, ...]]:
        from portico.services.compositions import newest

        session_id = None if session is None else session_row(tx, session).id
        return [_line(each) for each in newest(tx, session_id=session_id, limit=limit)]

    headings = ("Composition", "Session", "Status", "Progress", "Resolution", "Created", "Length", "MB", "Failure")
    table(headings, with_database(lambda db: db.read(read)))


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
        from portico.services import clock, compositions

        settings = load()
        sound = settings.composition_audio == "all"
        account_id = session_row(tx, session).account_id
        regions = settings.composition_regions
        make = partial(compositions.create, regions_max=regions, sound_by_default=sound, now=clock.now(tx))
        return make(tx, account_id, body).id

    try:
        composition_id = with_database(lambda db: db.write(request))
    except Invalid as wrong:
        raise CommandRefused(" ".join(printable(fault.detail) for fault in wrong.faults)) from None
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
    """Show progress to the end. Raises typer.Exit(1) when the composition fails, CommandRefused without one."""

    async def follow(db: "Database") -> "tuple[Composition, Storage]":
        with _Progress() as progress:
            while True:
                seen = await db.read(partial(_composition, composition_id=composition_id))
                progress.show(seen)
                if seen.status in ("completed", "failed"):
                    return seen, await storage(db)
                await asyncio.sleep(POLL_SECS)

    try:
        composition, links = with_database(follow)
    except KeyboardInterrupt:
        again = f"portico compositions watch {composition_id} shows its progress again."
        print(f"The server goes on with the composition: {again}", file=sys.stderr)
        raise
    if composition.object_key is None:
        _fail(composition.failure or "The composition failed.")
    link = links.link(composition.object_key, composition.file_name)
    print(f"{length(composition)}, {size_mb(composition)} MB: {link}")


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


def _composition(tx: "Transaction", composition_id: str) -> "Composition":
    from portico.services.compositions import find

    found = find(tx, composition_id)
    if found is None:
        listing = "portico compositions list shows the newest."
        raise CommandRefused(f"There is no composition {printable(composition_id)}: {listing}")
    return found


def _line(row: "Composition") -> tuple[str, ...]:
    line = (row.id, row.session_id, row.status, _percent(row), row.resolution, instant(row.created_at))
    return (*line, length(row), size_mb(row), row.failure or "")


def _percent(row: "Composition") -> str:
    return f"{int(row.progress * 100)} %"


def _fail(failure: str) -> NoReturn:
    print(f"portico: {printable(failure)}", file=sys.stderr)
    raise typer.Exit(1)
