"""`portico rooms`: the meeting link of one room."""

from typing import TYPE_CHECKING, Annotated

import typer

from portico.cli.installation import with_database
from portico.cli.terminal import CommandRefused, printable
from portico.config.settings import load

if TYPE_CHECKING:  # slow to import
    from portico.db.engine import Transaction

rooms = typer.Typer(help="Rooms.", no_args_is_help=True)


@rooms.command("link")
def link(
    room: Annotated[str, typer.Argument(metavar="ROOM_ID", help="The room's id.")],
    new: Annotated[bool, typer.Option("--new", help="Make a new link first; the one before becomes void.")] = False,
) -> None:
    """Print the meeting link of a room, with which a browser joins without an API key. Works while the server runs."""
    from portico.core.errors import NotFound
    from portico.services import audit, clock, meetings, tokens

    room_id, base_url = room.lower(), load().base_url

    def make(tx: "Transaction") -> str:
        now = clock.now(tx)
        keys = tokens.load_keys(tx, now)
        if not new:
            return meetings.link_of(tx, keys, room_id, base_url).url
        made = meetings.new_link(tx, keys, room_id, base_url)
        entry = {"operation": "rooms link", "object_id": room_id, "detail": f"generation: {made.generation}"}
        audit.record(tx, account_id=made.account_id, key_id=None, now=now, **entry)
        return made.url

    try:
        print(with_database(lambda db: db.write(make)))
    except NotFound:
        raise CommandRefused(f"There is no room {printable(room_id)}.") from None
