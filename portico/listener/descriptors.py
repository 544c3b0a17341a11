"""File descriptors: as many as the system lets us have, and some of them kept for ourselves."""

import os
import resource

OPEN_FILES_MAX = 65536
"""Two sockets for each browser, one for each delivery. Not simply the hard limit, which may be a thousand million."""
_RESERVE_MAX = 256


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, or to OPEN_FILES_MAX."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Descriptors:
    """Knows when the rest is needed for database, files, children, and the restart of Janus."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else soft
        self._first_reserved = self.limit - min(_RESERVE_MAX, self.limit // 4)

    def is_reserved(self, descriptor: int) -> bool:
        """Whether a new descriptor lies within the reserve: the system always gives the lowest free number."""
        return descriptor >= self._first_reserved

    def are_short(self) -> bool:
        """Whether a descriptor that is opened now would lie within the reserve."""
        try:
            probe = os.dup(2)
        except OSError:
            return True
        os.close(probe)
        return self.is_reserved(probe)

    def count(self) -> int:
        """How many are open now."""
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208  the listing itself has one open
