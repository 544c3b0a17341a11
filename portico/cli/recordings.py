"""`portico recordings`: list the newest."""

from typing import TYPE_CHECKING, Annotated

import typer

from portico.cli.installation import storage, with_database
from portico.cli.terminal import CommandRefused, instant, printable, table

if TYPE_CHECKING:  # all of these are slow to import
    from portico.app.workers import Storage
    from portico.core.model import Composition, Recording
    from portico.db.engine import Database, Transaction
    from portico.services.rows import SessionRow

recordings = typer.Typer(help="Recordings: one file for each track of a session.", no_args_is_help=True)

SessionOption = Annotated[str | None, typer.Option("--session", help="Only of the session with this id.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=250, help="Largest number to show.")]


@recordings.command("list")
def list_recordings(
    session: SessionOption = None,
    links: Annotated[bool, typer.Option("--links", help="With download links, which are valid for an hour.")] = False,
    limit: LimitOption = 20,
) -> None:
    """Show the newest recordings of all accounts."""

    def newest(tx: "Transaction") -> "list[Recording]":
        from portico.services import recordings

        session_id = None if session is None else session_row(tx, session).id
        return recordings.newest(tx, session_id=session_id, limit=limit)

    async def read(db: "Database") -> list[tuple[str, ...]]:
        found = await db.read(newest)
        store = await storage(db) if links else None
        return [_line(each, store) for each in found]

    headings = ("Recording", "Session", "Participant", "Type", "Status", "Started", "Length", "MB")
    table((*headings, "Link") if links else headings, with_database(read))


def session_row(tx: "Transaction", session_id: str) -> "SessionRow":
    """The session of any account. CommandRefused when there is none."""
    from portico.services import sessions

    found = sessions.find(tx, session_id.lower())
    if found is None:
        raise CommandRefused(f"There is no session {printable(session_id)}: GET /v2/room_sessions lists all sessions.")
    return found


def length(row: "Recording | Composition") -> str:
    """Minutes and seconds, such as 1:23; empty while it is not known."""
    return "" if row.duration_secs is None else f"{row.duration_secs // 60}:{row.duration_secs % 60:02}"


def size_mb(row: "Recording | Composition") -> str:
    """Megabytes, such as 1.23; empty while the size is not known."""
    from portico.core.events import megabytes

    return "" if row.size_bytes is None else f"{megabytes(row.size_bytes):g}"


def _line(row: "Recording", store: "Storage | None") -> tuple[str, ...]:
    line = (row.id, row.session_id, row.participant_id, row.type, row.status, instant(row.started_at))
    link = () if store is None else ("" if row.object_key is None else store.link(row.object_key, row.file_name),)
    return (*line, length(row), size_mb(row), *link)
