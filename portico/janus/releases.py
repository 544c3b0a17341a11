"""What is known of releases of Janus: their version, and faults that later ones do not have. Pure.

Source: CHANGELOG.md of https://github.com/meetecho/janus-gateway, and what our own tests found (docs/signaling.md).
"""

import re
from dataclasses import dataclass
from typing import Literal

Version = tuple[int, int, int]
OLDEST: Version = (1, 0, 0)
"""The oldest release whose API is the one that we speak."""
NEWEST: Version = (1, 4, 99)
"""The newest line of releases that tests have seen."""
_PRINTED = re.compile(r"\((\d+)\.(\d+)\.(\d+)\)|^(\d+)\.(\d+)\.(\d+)$", re.MULTILINE)


FaultKind = Literal["vulnerable", "unstable", "slow"]


@dataclass(frozen=True, slots=True)
class ReleaseFault:
    """A fault of all releases before `mended_in`."""

    mended_in: Version
    kind: FaultKind
    sources: str
    """The pull requests that mended it."""


FAULTS = (
    ReleaseFault((1, 4, 1), "vulnerable", "PR-3636, PR-3637"),
    ReleaseFault((1, 3, 3), "unstable", "PR-3589"),  # crash while participants of the AudioBridge are notified
    ReleaseFault((1, 3, 0), "unstable", "PR-3446, PR-3474"),  # deadlocks of the VideoRoom
    ReleaseFault((1, 2, 3), "unstable", "PR-3356, PR-3361, PR-3387"),  # rooms that are left, changed or destroyed
    ReleaseFault((1, 2, 0), "slow", "PR-3234"),  # no consent checks (RFC 7675)
)
"""The newest first."""


def parse(text: str) -> Version | None:
    """The version in what `janus --version` prints, or in `version_string` of Janus' API; None where there is none."""
    found = _PRINTED.search(text)
    if found is None:
        return None
    major, minor, patch = (int(number) for number in found.groups() if number is not None)
    return major, minor, patch


def faults_of(version: Version) -> dict[FaultKind, str]:
    """The kinds of known faults that a release has, with the pull requests that mended them."""
    found: dict[FaultKind, list[str]] = {}
    for fault in FAULTS:
        if version < fault.mended_in:
            found.setdefault(fault.kind, []).append(fault.sources)
    return {kind: ", ".join(sources) for kind, sources in found.items()}


def dotted(version: Version) -> str:
    """The version as people write it."""
    return ".".join(map(str, version))
