"""Limits of memory, CPU and lifetime for a child that reads recordings, whose content any participant may have made."""

import resource
import shutil

MEMORY_BYTES = 500_000_000
"""Bytes of data of one child. With the program that started it and their libraries it stays below 600 MB."""
PARENT_MEMORY_BYTES = 600_000_000
"""Bytes of data of a program that starts such children. It holds no media, so a tenth is usual."""
STACK_BYTES = 2 << 20
"""Bytes of one thread's stack: 8 MB each, the default, would exhaust MEMORY_BYTES with a few threads per input."""
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
"""Limits glibc to two pools of free memory; by default each thread has one."""


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
    """Limit the data of this process, and of its children unless `prefix` sets another limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = PARENT_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(PARENT_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
