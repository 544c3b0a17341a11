"""`portico nodes`: the media nodes of an installation on PostgreSQL."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portico.cli.installation import with_database
from portico.cli.terminal import CommandRefused, instant, printable, table

if TYPE_CHECKING:  # slow to import
    from portico.db.engine import Transaction
    from portico.services.rows import NodeRow

nodes = typer.Typer(help="Media nodes of an installation on PostgreSQL.", no_args_is_help=True)

NodeArgument = Annotated[str, typer.Argument(metavar="NODE_ID", help="The node's id, from `portico nodes list`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@nodes.command("list")
def list_nodes(as_json: JsonOption = False) -> None:
    """Show all nodes with their load."""

    def read(tx: "Transaction") -> "list[NodeRow]":
        from portico.services.nodes import all_nodes

        return all_nodes(tx)

    _show(with_database(lambda db: db.read(read)), as_json)


@nodes.command()
def drain(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Let a node take no new room. Those that are on it stay until their last participant has left."""
    _set(node, "draining", as_json)


@nodes.command()
def resume(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Let a drained node take rooms again."""
    _set(node, "active", as_json)


@nodes.command()
def remove(node: NodeArgument, as_json: JsonOption = False) -> None:
    """Give up a node that does not come back. What is on it ends. A node that is started again is active."""
    _set(node, "removed", as_json)


def _set(node_id: str, state: str, as_json: bool) -> None:
    def change(tx: "Transaction") -> "NodeRow | None":
        from portico.services import audit, clock
        from portico.services import nodes as rows

        now = clock.now(tx)
        if not rows.set_state(tx, node_id, state, now=now):
            return None
        entry = {"operation": f"nodes {state}", "object_id": node_id}
        audit.record(tx, account_id=None, key_id=None, now=now, **entry)
        return rows.find(tx, node_id)

    row = with_database(lambda db: db.write(change))
    if row is None:
        raise CommandRefused(f"There is no node {printable(node_id)}.")
    _show([row], as_json)


def _show(rows: "list[NodeRow]", as_json: bool) -> None:
    """Print nodes, without their secrets."""
    if as_json:
        print(json.dumps([_members(row) for row in rows], indent=2))
        return
    headings = ("Node", "State", "Up", "Participants", "CPU", "Packets/s", "Version", "Seen", "Address")
    lines = [
        (
            *(row.id, row.state, "yes" if row.is_up else "no", str(row.participants), f"{row.cpu:.2f}"),
            *(str(row.packets), row.version or "", instant(row.seen_at), row.url),
        )
        for row in rows
    ]
    table(headings, lines)


def _members(row: "NodeRow") -> dict[str, Any]:
    names = ("id", "state", "is_up", "participants", "cpu", "packets", "shortage", "recording_paused", "version")
    times = {name: None if (at := getattr(row, name)) is None else at.isoformat() for name in ("seen_at", "lost_at")}
    return {name: getattr(row, name) for name in names} | times | {"url": row.url, "epoch": row.epoch}
