"""Common parts of commands: refusals in one sentence, the data directory, tables, and escaping of hostile text."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


class CommandRefused(Exception):
    """The command cannot do what was asked; str() is the sentence for the terminal."""


def make_private(data_dir: Path) -> None:
    """The data directory, made if it is not there, readable by its owner alone."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandRefused(f"{data_dir} cannot be used: {error.strerror}. Choose another PORTICO_DATA_DIR.") from None


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal; elsewhere lines with tabs between columns and without headings, for programs."""
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(map(printable, row)) + "\n" for row in rows)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headings, box=box.SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(drawn)


def instant(value: datetime) -> str:
    """A time in UTC to the second, such as 2026-02-02T22:25:27Z."""
    return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def printable(text: str) -> str:
    """The text with control characters, which could move the cursor or change colours, shown by their numbers."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
