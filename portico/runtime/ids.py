"""Random identifiers. Random bytes are fetched many at a time, because a system call for each identifier costs more."""

import os
import threading

_FETCHED_BYTES = 4096


class _RandomBytes(threading.local):
    """The random bytes that this thread has fetched and not used yet."""

    fetched = b""
    used = 0


_random = _RandomBytes()


def new_id() -> str:
    """A UUID of version 4 (RFC 9562), in lower case."""
    start = _random.used
    if start >= len(_random.fetched):
        _random.fetched, start = os.urandom(_FETCHED_BYTES), 0
    _random.used = start + 16
    digits = _random.fetched[start : start + 16].hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _forget() -> None:
    """Drop fetched bytes in a forked child, which would otherwise make the same identifiers as its parent."""
    _random.fetched = b""


os.register_at_fork(after_in_child=_forget)
