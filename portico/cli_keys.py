"""`portico keys`: the API keys of all accounts, and what was changed with them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from portico.cli_webhooks import with_database
from portico.config import load
from portico.core.scopes import SCOPES, parse
from portico.terminal import Refused, make_private, printable, table

if TYPE_CHECKING:  # all of these are slow to import
    from sqlalchemy import Row

    from portico.db.engine import Transaction

T = TypeVar("T")
keys = typer.Typer(help="API keys, and the keys that sign.", no_args_is_help=True)
NAME_MAX = 255
_Id = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, which `portico keys list` shows.")]


@keys.command("create")
def create_key(
    account: Annotated[str, typer.Option(help="The account that the key opens.")] = "default",
    scopes: Annotated[
        str, typer.Option(help=f"What it may do: some of {', '.join(SCOPES)}, with commas; everything if not given.")
    ] = "",
    name: Annotated[str | None, typer.Option(help="What to call it in lists.")] = None,
) -> None:
    """Print one new API key as the last word of the output. Works while the server runs."""
    from portico.db.connect import open_database
    from portico.db.migrate import upgrade
    from portico.services import api_keys

    if not 0 < len(account) <= NAME_MAX or (name is not None and not 0 < len(name) <= NAME_MAX):
        raise Refused(f"The name of an account, and that of a key, has 1 to {NAME_MAX} characters.")
    try:
        wanted = parse(scopes)
    except ValueError as error:
        raise Refused(str(error)) from None
    settings = load()
    make_private(settings.data_dir)

    def create(tx: "Transaction") -> str:
        key = api_keys.create(tx, account, datetime.now(UTC), name=name, scopes=wanted)
        _note(tx, "keys create", key)
        return key

    async def run() -> str:
        db = open_database(settings.database)
        try:
            upgrade(db.engine)
            return await db.write(create)
        finally:
            await db.close()

    print(f"A new API key for the account {account}, shown only now: {asyncio.run(run())}")


@keys.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
) -> None:
    """Show all API keys: what they may do, when they were last used, and which are void. The keys are not stored."""
    from portico.services import api_keys

    found = with_database(lambda db: db.read(partial(api_keys.list_keys, account_name=account)))
    headings = ("Key", "Account", "Name", "Scopes", "Origin", "Created", "Last used", "State")
    table(headings, [_line(each, datetime.now(UTC)) for each in found])


@keys.command("revoke")
def revoke_key(key_id: _Id) -> None:
    """Make an API key void, within a second in every running server, also where PORTICO_API_KEY still names it."""
    from portico.services import api_keys

    def revoke(tx: "Transaction") -> None:
        api_keys.revoke(tx, key_id.lower(), now=datetime.now(UTC))
        _note_id(tx, "keys revoke", key_id.lower())

    _change(revoke)
    print(f"The key {key_id.lower()} is void.")


@keys.command("rotate")
def rotate_key(
    key_id: _Id,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=8760, help="How long the former key is still good; 0 makes it void at once.")
    ] = 24,
) -> None:
    """Print a new API key, with the account, name and scopes of this one, as the last word of the output."""
    from portico.services import api_keys

    overlap = timedelta(hours=overlap_hours)

    def rotate(tx: "Transaction") -> str:
        key = api_keys.rotate(tx, key_id.lower(), now=datetime.now(UTC), overlap=overlap)
        _note_id(tx, "keys rotate", key_id.lower())
        return key

    key = _change(rotate)
    until = _instant(datetime.now(UTC) + overlap)
    former = f"is good until {until}" if overlap else "is void"
    print(f"The former key {former}. The new one, shown only now: {key}")


@keys.command("audit")
def show_audit(
    limit: Annotated[int, typer.Option(min=1, max=250, help="How many at most.")] = 20,
) -> None:
    """Show the newest changes of all accounts, and with which key they were made; - is the command line."""
    from portico.core.paging import Page
    from portico.services import audit

    found = with_database(lambda db: db.read(lambda tx: audit.list_events(tx, None, Page(1, limit))))
    rows = [
        (_instant(e.created_at), e.key_id or "-", e.operation, e.object_id or "-", e.detail or "-", e.request_id or "-")
        for e in found.items
    ]
    table(("At", "Key", "Operation", "Object", "Detail", "Request"), rows)


def _change(change: "Callable[[Transaction], T]") -> T:
    from portico.core.errors import NotFound

    try:
        return with_database(lambda db: db.write(change))
    except NotFound as error:
        raise Refused(f"{printable(str(error))} `portico keys list` shows those that are there.") from None


def _note(tx: "Transaction", command: str, key: str) -> None:
    """An entry of the audit log about this new key."""
    from portico.services import api_keys

    made = api_keys.find(tx, key, now=datetime.now(UTC))
    assert made is not None
    _note_id(tx, command, made.id)


def _note_id(tx: "Transaction", command: str, key_id: str) -> None:
    from portico.services import api_keys, audit

    account_id = api_keys.owner_of(tx, key_id)
    now = datetime.now(UTC)
    audit.record(tx, account_id=account_id, key_id=None, operation=command, object_id=key_id, now=now)


def _line(row: "Row[tuple[object, ...]]", now: datetime) -> tuple[str, ...]:
    scopes = ",".join(row.scopes) if row.scopes is not None else "all"
    origin = "PORTICO_API_KEY" if row.from_setting else "created"
    last_used = "never" if row.last_used_at is None else _instant(row.last_used_at)
    return row.id, row.account, row.name or "-", scopes, origin, _instant(row.created_at), last_used, _state(row, now)


def _state(row: "Row[tuple[object, ...]]", now: datetime) -> str:
    if row.revoked_at is not None:
        return f"void since {_instant(row.revoked_at)}"
    if row.expires_at is not None:
        return f"good until {_instant(row.expires_at)}" if row.expires_at > now else "void"
    return "good"


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"
