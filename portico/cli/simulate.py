"""`portico simulate`: joins rooms with participants without browsers, and reports the media that each receives."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portico.cli.terminal import CommandRefused, printable, table
from portico.simulator.plan import PATTERNS
from portico.simulator.quality import Own, Record

if TYPE_CHECKING:  # they need the extra, and are slow to import
    from portico.simulator.run import Options, Progress, Result

SEATS_MAX = 50
"""The most participants that a room may have."""
_HEADINGS = (
    "participant",
    "joined in",
    "streams",
    "frames",
    "lost",
    "freezes",
    "delay p50, p99",
    "audio gaps",
    "speakers",
    "messages",
    "",
)
_PATTERN_HELP = " ".join(f"{name}: {text[0].lower()}{text[1:]}" for name, text in PATTERNS.items())


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(simulate)


def simulate(
    room_id: Annotated[
        str | None, typer.Argument(metavar="ROOM_ID", help="A room's id; without it rooms are made, and deleted.")
    ] = None,
    base_url: Annotated[
        str, typer.Option("--base-url", help="The server, without /v2.", envvar="PORTICO_PUBLIC_URL")
    ] = "http://127.0.0.1:8080",
    api_key: Annotated[
        str, typer.Option("--api-key", help="An API key of the server.", envvar="PORTICO_API_KEY", show_envvar=True)
    ] = "",
    participants: Annotated[
        int, typer.Option("--participants", min=1, max=SEATS_MAX, help="How many in each room.")
    ] = 20,
    publish: Annotated[int, typer.Option("--publish", min=0, help="How many of them publish.")] = 5,
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, max=86400.0, help="How long.")] = 60.0,
    pattern: Annotated[str, typer.Option("--pattern", help=f"What they do. {_PATTERN_HELP}")] = "steady",
    rooms: Annotated[int, typer.Option("--rooms", min=1, max=100, help="So many rooms at the same time.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="The same seed repeats a run's plan.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object: `ok`, `participants`.")] = False,
) -> None:
    """Put simulated participants into a room, and say what each of them receives. Needs the extra `client`.

    Exit status: 0 when all media were good, 1 when those of a participant were bad, 2 when it cannot run.
    """
    if pattern not in PATTERNS:
        raise CommandRefused(f"There is no pattern {printable(pattern)}: use one of {', '.join(PATTERNS)}.")
    if publish > participants:
        raise CommandRefused(f"Of {participants} participants, {publish} cannot publish.")
    if room_id is not None and rooms > 1:
        raise CommandRefused("Give either a ROOM_ID or --rooms: rooms are made for the latter.")
    if not api_key:
        raise CommandRefused("Give an API key of the server: --api-key, or PORTICO_API_KEY.")
    try:
        from portico.simulator.run import Options
    except ImportError as error:
        raise CommandRefused(f"{error.name} is missing: pip install 'portico-video[client]'.") from None
    result = _run(
        Options(base_url, api_key, room_id, participants, publish, seconds, pattern, rooms, seed), as_json=as_json
    )
    if as_json:
        print(json.dumps(result.as_object(), indent=1))
    else:
        _print(result)
    raise typer.Exit(0 if result.is_ok else 1)


def _run(options: "Options", *, as_json: bool) -> "Result":
    import uvloop

    from portico.simulator.run import simulate as run
    from portico.simulator.server import CannotSimulate

    with _live(is_shown=not as_json and sys.stdout.isatty()) as on_progress:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(run(options, on_progress))
        except CannotSimulate as error:
            raise CommandRefused(str(error)) from None


@contextlib.contextmanager
def _live(*, is_shown: bool) -> "Iterator[Callable[[Progress], None]]":
    """Yield a function that shows the progress of a run and the figures of all participants."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, transient=True) as live:

        def show(progress: "Progress") -> None:
            line = (
                f"{progress.secs:.0f} of {progress.of_secs:.0f} s, {progress.present} in "
                f"{', '.join(progress.room_ids[:2])}{' ...' if len(progress.room_ids) > 2 else ''}; "
                f"simulator: {progress.own.cores:.2f} cores, {progress.own.lag_p99 * 1000:.0f} ms late"
            )
            live.update(Group(Text(line), _table(progress.records)), refresh=True)

        yield show


def _row(record: Record) -> list[str]:
    delays, sound = record.delays, record.sound
    problems = record.problems()
    delay = f"{_ms(delays.quantile(0.5))}, {_ms(delays.quantile(0.99))}" if delays.count else ""
    there = len(sound.looks) - len(sound.missed)
    return [
        record.name,
        _ms(record.join_secs),
        str(len(record.seen)),
        str(record.frames),
        str(record.lost),
        str(record.freezes),
        delay,
        f"{sound.gaps:.1%}",
        f"{there} of {len(sound.looks)}",
        f"{record.messages_received} of {record.messages_received + record.messages_missing}",
        "; ".join(problems) or "good",
    ]


def _ms(secs: float | None) -> str:
    return "" if secs is None else f"{secs * 1000:.0f} ms"


def _table(records: list[Record]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*_HEADINGS, box=box.SIMPLE_HEAD)
    for record in records:
        *cells, verdict = _row(record)
        drawn.add_row(
            *(Text(printable(cell)) for cell in cells), Text(printable(verdict), "" if verdict == "good" else "red")
        )
    return drawn


def _print(result: "Result") -> None:
    """Print the table of all participants, and how many the simulator can run."""
    table(_HEADINGS, [_row(record) for record in result.records])
    bad = sum(1 for record in result.records if record.problems())
    print(f"{len(result.records) - bad} of {len(result.records)} participants had good media.")
    print(_own_sentence(result.own), file=sys.stdout if sys.stdout.isatty() else sys.stderr)


def _own_sentence(own: Own) -> str:
    if own.limit:
        return own.limit
    carries = f"; it can carry about {own.capacity} such participants on this machine" if own.capacity else ""
    return f"The simulator used {own.cores:.2f} cores and was {own.lag_p99 * 1000:.0f} ms late{carries}."
