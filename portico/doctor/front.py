"""The programs that a public server runs in front of itself: whether they are installed, and their versions."""

import re

from portico.app.public_server import edge_settings
from portico.doctor.finding import Finding, ok, problem
from portico.doctor.probes import output_of
from portico.doctor.subject import Subject
from portico.edge.programs import find
from portico.runtime.child_process import ChildUnavailable

AREA = "front"
_OPTION = {"caddy": "version", "haproxy": "-v", "turnserver": "--version"}
_PACKAGE = {"turnserver": "coturn"}
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


async def check(subject: Subject) -> list[Finding]:
    """Find each program that the settings need and ask it for its version."""
    edge = edge_settings(subject.settings)
    programs = {
        "caddy": edge is not None and edge.uses_caddy,
        "haproxy": edge is not None and edge.uses_haproxy,
        "turnserver": subject.settings.turn_is_on,
    }
    needed = [name for name, is_used in programs.items() if is_used]
    return [await _examined(name) for name in needed]


async def _examined(name: str) -> Finding:
    package = _PACKAGE.get(name, name)
    try:
        program = find(name)
        printed = await output_of([str(program), _OPTION[name]])
    except (ChildUnavailable, OSError) as error:
        return problem(
            AREA, f"{str(error).rstrip('.')}.", f"Install Debian's package {package}, or start with script/server."
        )
    version = _VERSION.search(printed)
    if version is None:
        return problem(AREA, f"{program} does not state its version.", f"Install Debian's package {package}.")
    return ok(AREA, f"{program} is {name} {version[0]}.")
