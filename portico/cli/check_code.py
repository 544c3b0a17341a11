"""`portico check-code`: decodes a code of the page /check."""

from typing import Annotated

import typer

from portico.cli.terminal import CommandRefused


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check-code")(check_code)


def check_code(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code, like 95CJ-2A4X-GP78-3FKK.")],
) -> None:
    """Print what a code says that the page /check has shown: which steps passed, and when."""
    from portico.core.check_code import NoCheckCode, decode

    try:
        result = decode(code)
    except NoCheckCode as error:
        raise CommandRefused(str(error)) from None
    print(f"{'time':<20}{result.at:%Y-%m-%d %H:%M} UTC")
    for name, meaning in result.facts.items():
        print(f"{name:<20}{meaning}")
