"""Reads which bytes of a file the Range header of a request names (RFC 9110 section 14)."""

import re

# Nineteen digits are more than any file has, and Python refuses to read thousands of them.
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)


class NotSatisfiable(Exception):
    """The file has no such bytes: 416."""


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte of the requested part and the byte after its last, or None for the whole file.

    A header of another form is ignored, as is one with several parts: the RFC allows both
    (sections 14.1.1 and 14.2), and no player sends them.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or match[1] == match[2] == "":
        return None
    first, last = match.groups()
    if first == "":  # `bytes=-N`: the last N bytes
        start, end = max(0, size - int(last)), size
    elif last == "":
        start, end = int(first), size
    elif int(last) < int(first):
        return None  # invalid, section 14.1.1
    else:
        start, end = int(first), min(int(last) + 1, size)
    if start >= size:
        raise NotSatisfiable
    return start, end
