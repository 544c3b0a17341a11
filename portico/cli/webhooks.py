"""`portico webhooks`: the delivery log, replay, and the keys that sign."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from portico.cli.installation import webhook_keys, with_database
from portico.cli.terminal import CommandRefused, instant, printable, table
from portico.config.settings import load

if TYPE_CHECKING:  # all of these are slow to import
    from portico.core.filters import Condition
    from portico.db.engine import Database
    from portico.db.keyfile import SigningKey
    from portico.services.rows import Attempt
    from portico.services.webhook_keys import WebhookKeys
    from portico.services.webhook_log import Logged

webhooks = typer.Typer(help="Webhooks: what was delivered, once more, and the keys that sign.", no_args_is_help=True)

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REPLAYED = "{} will be delivered once more by the server."


@webhooks.command("list")
def list_deliveries(
    status: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    room: Annotated[str | None, typer.Option(help="Only events of the room with this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=250, help="How many at most.")] = 20,
) -> None:
    """Show the newest deliveries of all accounts."""
    conditions = _conditions(status=status, room_id=room)

    async def read(db: "Database") -> "list[Logged]":
        from portico.core.paging import Page
        from portico.services import webhook_log

        listed = await db.read(lambda tx: webhook_log.list_deliveries(tx, None, Page(1, limit), conditions))
        return listed.items

    found = with_database(read)
    headings = ("Delivery", "Event", "Room", "Status", "Attempts", "Recorded", "Last attempt")
    table(headings, [_line(each) for each in found])


@webhooks.command()
def show(delivery: Annotated[str, typer.Argument(help="The delivery's id.")]) -> None:
    """Show one delivery with every attempt and the event as it is sent."""
    logged = _retrieve(delivery)
    row = logged.delivery
    times = {"recorded": row.created_at, "first tried": row.started_at, "ended": row.finished_at, "next": row.due_at}
    print(f"{row.event_type}  {row.status}\n  room         {row.room_id}\n  to           {printable(row.url)}")
    if row.failover_url:
        print(f"  failover     {printable(row.failover_url)}")
    for name, at in times.items():
        if at is not None:
            print(f"  {name:<13}{instant(at)}")
    print(f"\n{json.dumps(json.loads(row.data), indent=2)}\n")
    for each in logged.attempts:
        print(f"{each.number}. {instant(each.started_at)}  {printable(each.url)}  {_outcome(each)}")
        for line in each.response_body.splitlines():
            print(f"   | {printable(line)}")


@webhooks.command()
def replay(
    delivery: Annotated[str | None, typer.Argument(help="The delivery's id.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that have failed, of all accounts.")] = False,
    since: Annotated[
        str | None, typer.Option(help="With --failed: first tried since then; 2h, 3d, or an ISO date or date-time.")
    ] = None,
) -> None:
    """Deliver once more, to the URLs that the room has now."""
    if failed == (delivery is not None) or (since is not None and not failed):
        raise CommandRefused("Name one delivery by its id, or all with --failed and perhaps --since.")
    if delivery is not None:
        _replay_one(delivery)
        print(_REPLAYED.format("The event"))
        return
    count = _replay_failed(_conditions(status="failed", started_at=_since(since)))
    print(_REPLAYED.format("1 event" if count == 1 else f"{count} events"))


@webhooks.command("key")
def show_key() -> None:
    """Print the public key with which receivers verify webhooks; a second line has the next key, if there is one."""
    from portico.core.webhook import public_key
    from portico.services import clock

    async def read(db: "Database") -> "tuple[WebhookKeys, datetime]":
        return await webhook_keys(db), await db.read(clock.now)

    keys, now = with_database(read, create=True)
    print(public_key(keys.current(now)))
    coming = keys.next(now)
    if coming is not None:
        print(f"{public_key(coming.private)} from {instant(coming.active_from)}")


@webhooks.command("rotate-key")
def rotate_key(
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=8760, help="How long the present key still signs; 0 changes at once.")
    ] = 24,
) -> None:
    """Make a new key. Add it to your receivers before it begins to sign; a running servers need no restart."""
    from portico.core.webhook import public_key
    from portico.services import clock
    from portico.services.webhook_keys import rotate

    async def replace(db: "Database") -> "SigningKey":
        await webhook_keys(db)
        given, overlap = load().webhook_private_key, timedelta(hours=overlap_hours)
        return await db.write(lambda tx: rotate(tx, given, now=clock.now(tx), overlap=overlap))

    new = with_database(replace, create=True)
    print(f"{public_key(new.private)} from {instant(new.active_from)}")


def _retrieve(delivery_id: str) -> "Logged":
    from portico.core.errors import NotFound
    from portico.services import webhook_log

    async def read(db: "Database") -> "Logged":
        return await db.read(lambda tx: webhook_log.retrieve_delivery(tx, None, delivery_id.lower()))

    try:
        return with_database(read)
    except NotFound:
        raise CommandRefused(_unknown(delivery_id)) from None


def _replay_one(delivery_id: str) -> None:
    from portico.core.errors import NotFound
    from portico.services import clock
    from portico.services.webhooks import replay

    async def write(db: "Database") -> None:
        await db.write(lambda tx: replay(tx, None, delivery_id.lower(), now=clock.now(tx)))

    try:
        with_database(write)
    except NotFound:
        raise CommandRefused(_unknown(delivery_id)) from None


def _replay_failed(conditions: "tuple[Condition, ...]") -> int:
    from functools import partial

    from portico.services import clock
    from portico.services.webhook_log import next_matching, replay_each

    async def write(db: "Database") -> int:
        now, replayed, after = await db.read(clock.now), 0, 0
        while True:
            find = partial(next_matching, account_id=None, conditions=conditions, now=now, after=after)
            ids, last = await db.read(find)
            again = partial(replay_each, account_id=None, ids=ids, conditions=conditions, now=now)
            replayed += await db.write(again) if ids else 0
            if last is None:
                return replayed
            after = last

    return with_database(write)


def _conditions(**wanted: str | dict[str, str] | None) -> "tuple[Condition, ...]":
    from portico.api.queries import DELIVERIES
    from portico.core.filters import parse_members

    conditions, faults = parse_members(wanted, DELIVERIES)
    if faults:
        raise CommandRefused(" ".join(fault.detail for fault in faults))
    return conditions


def _since(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    since = (datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat() if ago else text
    return {"gte": since}


def _line(logged: "Logged") -> tuple[str, ...]:
    row = logged.delivery
    last = _outcome(logged.attempts[0]) if logged.attempts else ""
    counted = str(row.attempts)
    return row.id, row.event_type, row.room_id, row.status, counted, instant(row.created_at), last


def _outcome(attempt: "Attempt") -> str:
    took = (attempt.finished_at - attempt.started_at).total_seconds() * 1000
    return f"{printable(attempt.error or str(attempt.status_code))}, {took:.0f} ms"


def _unknown(delivery_id: str) -> str:
    return f"There is no delivery {printable(delivery_id)}: portico webhooks list shows those that are there."
