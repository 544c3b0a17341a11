"""The findings of an examination: a sentence, its level, and a remedy. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warning", "problem"]
"""ok: as it should be. note: good to know. warning: works, but not well or not for long. problem: hinders calls."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. `text` is a sentence; `remedy` is a sentence too, and empty where nothing is to be done."""

    area: str
    level: Level
    text: str
    remedy: str = ""


def ok(area: str, text: str) -> Finding:
    """A finding that all is as it should be."""
    return Finding(area, "ok", text)


def note(area: str, text: str, remedy: str = "") -> Finding:
    """A finding that is good to know, and harmless."""
    return Finding(area, "note", text, remedy)


def warning(area: str, text: str, remedy: str) -> Finding:
    """A finding with which calls work, but not well or not for long."""
    return Finding(area, "warning", text, remedy)


def problem(area: str, text: str, remedy: str) -> Finding:
    """A finding that hinders calls, or recordings or webhooks of calls."""
    return Finding(area, "problem", text, remedy)


def is_ok(findings: Iterable[Finding]) -> bool:
    """Whether none of them is a problem."""
    return all(finding.level != "problem" for finding in findings)


def as_object(findings: Sequence[Finding]) -> dict[str, Any]:
    """The JSON object of `portico doctor --json`."""
    return {"ok": is_ok(findings), "findings": [asdict(finding) for finding in findings]}
