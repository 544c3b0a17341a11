"""`portico participants`: erase the data of one participant."""

from typing import TYPE_CHECKING, Annotated

import typer

from portico.cli.installation import with_database
from portico.cli.terminal import CommandRefused, printable

if TYPE_CHECKING:  # slow to import
    from portico.db.engine import Transaction

participants = typer.Typer(help="Participants of sessions.", no_args_is_help=True)


@participants.command()
def erase(
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT_ID", help="The participant's id.")],
    keep_recordings: Annotated[
        bool, typer.Option("--keep-recordings", help="Keep their recordings and the session's compositions.")
    ] = False,
) -> None:
    """Erase the personal data of a participant who has left: context, label, and what was recorded of them.

    All compositions of the session are deleted too, because they may show them. The row stays, without these data.
    """
    from portico.core.errors import Invalid, NotFound
    from portico.services import audit, clock, erasure, listing

    participant_id = participant.lower()

    def change(tx: "Transaction") -> None:
        now = clock.now(tx)
        erasure.erase(tx, None, participant_id, keep_recordings=keep_recordings, now=now)
        account_id = listing.account_of_participant(tx, participant_id)
        change = {"operation": "participants erase", "object_id": participant_id}
        audit.record(tx, account_id=account_id, key_id=None, now=now, **change)

    try:
        with_database(lambda db: db.write(change))
    except NotFound:
        raise CommandRefused(f"There is no participant {printable(participant_id)}.") from None
    except Invalid as wrong:
        raise CommandRefused(str(wrong)) from None
    print(f"The data of the participant {participant_id} are erased.")
