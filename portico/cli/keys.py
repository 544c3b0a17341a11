"""`portico keys`: the API keys of all accounts, and what was changed with them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from portico.cli.installation import with_database
from portico.cli.terminal import CommandRefused, instant, printable, table
from portico.config.settings import load
from portico.core.scopes import SCOPES, parse

if TYPE_CHECKING:  # all of these are slow to import
    from portico.db.engine import Transaction
    from portico.services.rows import ListedKey

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
    from portico.services import api_keys, clock

    if not 0 < len(account) <= NAME_MAX or (name is not None and not 0 < len(name) <= NAME_MAX):
        raise CommandRefused(f"The name of an account, and that of a key, has 1 to {NAME_MAX} characters.")
    try:
        wanted = parse(scopes)
    except ValueError as error:
        raise CommandRefused(str(error)) from None

    def create(tx: "Transaction") -> str:
        key = api_keys.create(tx, account, clock.now(tx), name=name, scopes=wanted)
        _note(tx, "keys create", key)
        return key

    key = with_database(lambda db: db.write(create), create=True)
    print(f"A new API key for the account {account}, shown only now: {key}")


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
    from portico.services import api_keys, clock

    def revoke(tx: "Transaction") -> None:
        api_keys.revoke(tx, key_id.lower(), now=clock.now(tx))
        _note_id(tx, "keys revoke", key_id.lower())

    _change(revoke)
    print(f"The key {key_id.lower()} is void.")


@keys.command("rotate")
def rotate(
    what: Annotated[str, typer.Argument(help="tokens, links, files, all of these, or the id of an API key.")],
    overlap_hours: Annotated[
        float | None, typer.Option(min=0, max=8760, help="Of an API key: how long the former one is good; 24.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Make void at once whatever the former key opens.")] = False,
) -> None:
    """Replace a key, in every running server within seconds. The new API key is the last word of the output.

    tokens: client tokens that were made before stay good until they expire, 25 hours at most; with --now none is.
    files: download links that were made before stay good until they expire, an hour at most; with --now none is.
    links: every meeting link that was made before is void at once, because none ever expires.
    """
    if what in (*_ROTATED, "all"):
        if overlap_hours is not None:
            raise CommandRefused("--overlap-hours is for API keys; see portico keys rotate --help.")
        _rotate_signing(_ROTATED if what == "all" else (what,), now)
        return
    if now and overlap_hours:
        raise CommandRefused("Choose --now or --overlap-hours.")
    _rotate_api_key(what.lower(), timedelta(hours=0 if now else 24 if overlap_hours is None else overlap_hours))


_ROTATED = ("tokens", "links", "files")
_ROTATED_SENTENCES = {
    ("tokens", False): "Client tokens are signed with a new key. Those made before are good until they expire.",
    ("tokens", True): "Client tokens made before are void. Calls go on; joining needs a new token.",
    ("files", False): "Download links are signed with a new key. Those made before are good until they expire.",
    ("files", True): "Download links made before are void.",
}


def _rotate_signing(kinds: tuple[str, ...], void: bool) -> None:
    """Replace the named signing keys in one transaction; print a sentence about each."""
    from portico.services import audit, clock, signing_keys

    purposes = {"tokens": signing_keys.TOKENS, "links": signing_keys.LINKS, "files": signing_keys.FILES}

    def replace(tx: "Transaction") -> list[str]:
        at = clock.now(tx)
        for kind in kinds:
            signing_keys.rotate(tx, purposes[kind], now=at, void=void or kind == "links")
            audit.record(tx, account_id=None, key_id=None, operation=f"keys rotate {kind}", object_id=None, now=at)
        return [_new_links(tx, at) if kind == "links" else _ROTATED_SENTENCES[kind, void] for kind in kinds]

    print("\n".join(_change(replace)))


def _new_links(tx: "Transaction", now: datetime) -> str:
    from portico.services import meetings, tokens

    room_id = meetings.first_room(tx, now)
    link = meetings.link_of(tx, tokens.load_keys(tx, now), room_id, load().base_url)
    return f"Meeting links made before are void. The first room has the new link {link.url}"


def _rotate_api_key(key_id: str, overlap: timedelta) -> None:
    from portico.services import api_keys, clock

    def replace(tx: "Transaction") -> str:
        key = api_keys.rotate(tx, key_id, now=clock.now(tx), overlap=overlap)
        _note_id(tx, "keys rotate", key_id)
        return key

    key = _change(replace)
    until = instant(datetime.now(UTC) + overlap)
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
        (instant(e.created_at), e.key_id or "-", e.operation, e.object_id or "-", e.detail or "-", e.request_id or "-")
        for e in found.items
    ]
    table(("At", "Key", "Operation", "Object", "Detail", "Request"), rows)


def _change(change: "Callable[[Transaction], T]") -> T:
    from portico.core.errors import NotFound

    try:
        return with_database(lambda db: db.write(change))
    except NotFound as error:
        raise CommandRefused(f"{printable(str(error))} `portico keys list` shows those that are there.") from None


def _note(tx: "Transaction", command: str, key: str) -> None:
    """An entry of the audit log about this new key."""
    from portico.services import api_keys, clock

    made = api_keys.find(tx, key, now=clock.now(tx))
    assert made is not None
    _note_id(tx, command, made.id)


def _note_id(tx: "Transaction", command: str, key_id: str) -> None:
    from portico.services import api_keys, audit, clock

    account_id = api_keys.owner_of(tx, key_id)
    now = clock.now(tx)
    audit.record(tx, account_id=account_id, key_id=None, operation=command, object_id=key_id, now=now)


def _line(row: "ListedKey", now: datetime) -> tuple[str, ...]:
    scopes = ",".join(row.scopes) if row.scopes is not None else "all"
    origin = "PORTICO_API_KEY" if row.from_setting else "created"
    last_used = "never" if row.last_used_at is None else instant(row.last_used_at)
    return row.id, row.account, row.name or "-", scopes, origin, instant(row.created_at), last_used, _state(row, now)


def _state(row: "ListedKey", now: datetime) -> str:
    if row.revoked_at is not None:
        return f"void since {instant(row.revoked_at)}"
    if row.expires_at is not None:
        return f"good until {instant(row.expires_at)}" if row.expires_at > now else "void"
    return "good"
