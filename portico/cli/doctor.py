"""`portico doctor`: examines the machine and the parts around the server, and says what hinders calls."""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from portico import __version__
from portico.cli.options import add_setting_options
from portico.cli.terminal import printable, table
from portico.config.settings import load
from portico.runtime import logs

if TYPE_CHECKING:  # slow to import
    from portico.doctor.finding import Finding, Level

_LOOKS: dict["Level", tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("i", "cyan"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "bold red"),
}
"""The mark of each level, and its style."""
AREAS_SHOWN = 4
_AS_JSON = Annotated[
    bool, typer.Option("--json", help="Print one JSON object: `ok`, and `findings` with their remedies.")
]


def add_to(app: typer.Typer) -> None:
    """Make this command of the application; it has the options of `portico serve` too."""
    add_setting_options(doctor, as_json=_AS_JSON)
    app.command()(doctor)


def doctor(*, as_json: bool, **options: object) -> None:
    """Examine this machine and say what hinders calls, each with its remedy. Works with and without a running server.

    Give it the same settings as `portico serve`. Exit status: 0 without a problem, 1 with one, 2 for a wrong setting.
    """
    settings = load(**options)
    logs.configure("critical", "text")  # findings say it in better words
    from portico.doctor.examination import examine_settings
    from portico.doctor.finding import as_object, is_ok

    with _progress(is_shown=not as_json and sys.stdout.isatty() and sys.stderr.isatty()) as on_progress:
        findings = asyncio.run(examine_settings(settings, on_progress))
    if as_json:
        print(json.dumps(as_object(findings), indent=1))
    elif sys.stdout.isatty():
        _draw(findings)
    else:
        table((), [(finding.level, finding.area, finding.text, finding.remedy) for finding in findings])
    raise typer.Exit(0 if is_ok(findings) else 1)


def _draw(findings: "Sequence[Finding]") -> None:
    """A table with the area of each finding once, its remedy below it, and a last line that counts."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console()
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(no_wrap=True, style="bold")
    drawn.add_column(overflow="fold")
    before = ""
    for finding in findings:
        mark, style = _LOOKS[finding.level]
        text = Text(printable(finding.text), style="" if finding.level in ("ok", "note") else style)
        drawn.add_row(Text(mark, style=style), "" if finding.area == before else finding.area, text)
        if finding.remedy:
            remedy = Table.grid(padding=(0, 1, 0, 0))
            remedy.add_row(Text("→", style="dim"), Text(printable(finding.remedy), style="dim"))
            drawn.add_row("", "", remedy)
        before = finding.area
    console.print()
    console.print(Padding(drawn, (0, 0, 0, 2)))
    console.print(f"\n  {_summary(findings)}\n", highlight=False)


def _summary(findings: "Sequence[Finding]") -> str:
    counted = Counter(finding.level for finding in findings)
    words = [_counted(counted["problem"], "problem", "bold red"), _counted(counted["warning"], "warning", "yellow")]
    return f"Portico {__version__}: {', '.join(words)}."


def _counted(number: int, word: str, style: str) -> str:
    if not number:
        return f"[green]no {word}s[/]"
    return f"[{style}]{number} {word}{'s' if number > 1 else ''}[/]"


@contextlib.contextmanager
def _progress(*, is_shown: bool) -> Iterator[Callable[[frozenset[str]], None]]:
    """A function that shows on stderr which areas are still being examined."""
    if not is_shown:
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("examining") as status:

        def show(left: frozenset[str]) -> None:
            first = ", ".join(sorted(left)[:AREAS_SHOWN])
            status.update(f"examining {first}{' and others' if len(left) > AREAS_SHOWN else ''}")

        yield show
