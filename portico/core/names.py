"""The name that a participant is shown with: one rule for the page, the console and compositions.

frontend/src/shared/names.ts is the same rule; tests of both read tests/core/data/names.json.
"""

import json

NAME_MEMBERS = ("username", "name", "displayName", "display_name")
"""Members of a context that is a JSON object; the first that holds a name counts."""
NAME_LENGTH_MAX = 60
"""The longest name, in code points."""
NAMELESS = "Guest"
_SPACE = " \t\n\r\v\f\u00a0\u2028\u2029\ufeff"


def display_name(label: str | None, context: str | None) -> str:
    """The token's label for its holder, else the name in the context's JSON, else a context that is no JSON."""
    for text in (label, _in_context(context or "")):
        name = (text or "").strip(_SPACE)[:NAME_LENGTH_MAX]
        if name:
            return name
    return NAMELESS


def _in_context(context: str) -> str:
    try:
        value = json.loads(context, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return context
    if isinstance(value, dict):
        named = (value.get(member) for member in NAME_MEMBERS)
        value = next((each for each in named if isinstance(each, str) and each.strip(_SPACE)), None)
    return value if isinstance(value, str) else ""


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
