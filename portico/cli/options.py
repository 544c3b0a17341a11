"""Options of `portico serve` and `portico doctor`: one for every setting that is no secret, derived from Settings."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from portico.config.secrets import is_secret
from portico.config.settings import Settings

_ALIASES = {"drain_secs": ("--drain",)}
"""Shorter names of options."""


def add_setting_options(command: Callable[..., None], **flags: Any) -> None:
    """Give the command, which takes `**options`, a signature of which typer makes options.

    `flags` are its own, by name: typer's annotation of each, which is False unless it is given.

    An option that is not given is None, and the setting then is what the environment says. Every value is passed on
    as text: the Settings class reads options as it reads variables, with the same words for what is wrong.
    """
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in flags.items()
    ]
    options += [_parameter(name, field) for name, field in Settings.model_fields.items() if not is_secret(field)]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    is_flag = field.annotation is bool
    option = f"--{name.replace('_', '-')}"
    made = typer.Option(
        f"{option}/--no-{option[2:]}" if is_flag else option,
        *_ALIASES.get(name, ()),
        help=field.description,
        show_default=False,
        metavar=None if is_flag else _metavar(field.annotation),
    )
    annotation = Annotated[bool | None, made] if is_flag else Annotated[str | None, made]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _metavar(annotation: Any) -> str:
    """What `--help` shows of the value: its choices, or its kind."""
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    alternatives = {annotation, *get_args(annotation)} if get_origin(annotation) is not tuple else set()
    if bool in alternatives:
        return "true|false"
    return "NUMBER" if alternatives & {int, float} else "TEXT"
