"""Sets up the log: one line per event on stderr, as text or as JSON."""

import logging
import re
import sys
from typing import Any, Literal

import structlog

_WORD = re.compile(r"[!#-&(-<>-~]+")
"""A value that ConsoleRenderer writes as it is: no blank, quote or equals sign in it."""
_TRACEBACK = {"exc_info", "exception", "stack", "logger", "logger_name"}
_FIRST = {"timestamp", "level", "event"}


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send the log of the program and its libraries to stderr, from `level` on; `form` is that of the lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form == "text":
        colors = sys.stderr.isatty()
        console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        last = console if colors else PlainRenderer(console)
    # Never the local variables of frames: keys and tokens are among them.
    without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    tracebacks = [structlog.processors.ExceptionRenderer(without_locals)] if form == "json" else []
    threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, *tracebacks, last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tracebacks, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


class PlainRenderer:
    """Writes the same lines as `console`, a renderer without colors.

    Lines of plain words, such as those of requests, take a quarter of the time; other lines are passed to `console`.
    """

    def __init__(self, console: structlog.dev.ConsoleRenderer) -> None:
        self._console = console

    def __call__(self, logger: Any, name: str, event: structlog.typing.EventDict) -> str:
        line = _line(event)
        return str(self._console(logger, name, event)) if line is None else line


def _line(event: structlog.typing.EventDict) -> str | None:
    """The line of an event whose values are numbers and words; None of any other."""
    parts = []
    for key in sorted(event):
        value = event[key]
        if key in _FIRST:
            continue
        if key in _TRACEBACK or not (type(value) in (int, float) or (type(value) is str and _WORD.fullmatch(value))):
            return None
        parts.append(f"{key}={value}")
    text = event["event"]
    if type(text) is not str:
        return None
    return " ".join((f"{event['timestamp']} [{event['level']:<9}] {text:<30}", *parts)).rstrip(" ")
