"""Limits of memory, CPU and lifetime for a child that reads recordings, whose content any participant may have made."""

import resource
import shutil

MEMORY_BYTES = 500_000_000
"""Of one child's data. With the program that started it, and what both read of libraries, it stays below 600 MB."""
PARENT_MEMORY_BYTES = 600_000_000
"""Of the data of a program that starts such children; it holds no media, and takes a tenth of this."""
STACK_BYTES = 2 << 20
"""Of one thread; the default of 8 MB, times some threads for each input, counts as data."""
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
"""Fewer pools of free memory than one for each thread."""


def prefix(cpu_secs: int) -> list[str]:
    """A program of util-linux that sets the limits of a child and then becomes it; the child's command follows.

    Beyond `cpu_secs` of CPU time the child is killed by SIGXCPU; memory beyond the limit is refused to it.
    """
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        return []
    limits = (f"--data={MEMORY_BYTES}", f"--stack={STACK_BYTES}", f"--cpu={cpu_secs}", "--core=0")
    return [prlimit, *limits, "--"]


def killed_with_parent() -> list[str]:
    """A program of util-linux by which the kernel kills a child when its parent ends; the child's command follows."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def limit_own_memory() -> None:
    """Limit this process, and by default what it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = PARENT_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(PARENT_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
