"""The limit of open file descriptors: raised as far as allowed, with a reserve that connections must not take."""

import os
import resource

OPEN_FILES_MAX = 65536
"""The limit that we ask for: two sockets for each browser and one for each delivery. The hard limit may be 10^9."""
_RESERVE_MAX = 256
"""Descriptors kept for the database, files, child processes and the restart of Janus."""


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, or to OPEN_FILES_MAX."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Descriptors:
    """Says whether a descriptor lies in the reserve: the highest _RESERVE_MAX numbers, or a quarter of a low limit."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = OPEN_FILES_MAX if soft == resource.RLIM_INFINITY else soft
        self._first_reserved = self.limit - min(_RESERVE_MAX, self.limit // 4)

    def is_reserved(self, descriptor: int) -> bool:
        """Whether a new descriptor lies in the reserve. The system gives the lowest free number."""
        return descriptor >= self._first_reserved

    def are_short(self) -> bool:
        """Whether a descriptor that is opened now would lie in the reserve."""
        try:
            probe = os.dup(2)
        except OSError:
            return True
        os.close(probe)
        return self.is_reserved(probe)

    def count(self) -> int:
        """The number of open descriptors."""
        return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208  less the one of the listing itself
