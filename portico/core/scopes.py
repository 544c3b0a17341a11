"""The scopes of API keys, and which of them an operation requires. A key without scopes may do everything."""

from collections.abc import Collection

READ, ROOMS, MODERATE, RECORDINGS, NODES = "read", "rooms", "moderate", "recordings", "nodes"
SCOPES = {
    READ: "read everything: rooms, sessions, participants, recordings, compositions, webhook deliveries, the audit log",
    ROOMS: "create, change and delete rooms, make client tokens and meeting links, replay webhooks",
    MODERATE: "end sessions, kick and mute participants",
    RECORDINGS: "delete recordings, make and delete compositions, erase a participant's data",
    NODES: "drain, resume and remove media nodes, for keys of the account `default`",
}
"""Each scope with the operations that it allows. It also allows reading the objects that they change."""


def parse(text: str) -> tuple[str, ...] | None:
    """The scopes of `read,rooms` in the order of SCOPES; None for no text. ValueError with a sentence for others."""
    named = [each.strip() for each in text.split(",")]
    if named == [""]:
        return None
    if unknown := [each for each in named if each not in SCOPES]:
        raise ValueError(f"There is no scope {unknown[0]!r}. Known are: {', '.join(SCOPES)}.")
    return tuple(scope for scope in SCOPES if scope in named)


def missing(held: Collection[str] | None, sufficient: Collection[str]) -> str | None:
    """The sentence that refuses a key with the scopes `held`, if it has none of `sufficient`; None if it is allowed.

    `held` is None for a key that may do everything; an empty `sufficient` lets every key.
    """
    if held is None or not sufficient or any(scope in held for scope in sufficient):
        return None
    named = " or ".join(sufficient)
    return f"The API key lacks the scope {named}: it has {', '.join(held) or 'none'}."
