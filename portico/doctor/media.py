"""The media server: Janus' version with its known faults, its libraries, and the UDP ports that it may use."""

import os

from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.probes import in_thread, output_of, reason
from portico.doctor.subject import Subject
from portico.janus import releases
from portico.janus.capacity import Capacity, cameras_in_one_room, look
from portico.janus.child import open_link
from portico.janus.config import find_janus, missing_libraries
from portico.janus.errors import JanusError, JanusUnavailable

JANUS, PORTS = "Janus", "media ports"
FEW_PEOPLE = 8
_BUILD = "Run script/build-janus: the server prefers the release that it builds."
_FAULTS = {
    "vulnerable": (warning, "has published vulnerabilities"),
    "unstable": (warning, "may crash or stand still in rare cases"),
    "slow": (note, "itself needs up to 65 s to notice a silent participant's loss (connect.js reports it sooner)"),
}
"""By the kind of a fault (janus/releases.py): the level of its finding, and a clause about the release."""


async def check_janus(subject: Subject) -> list[Finding]:
    """Examine the version of our Janus program, or of the remote Janus."""
    settings = subject.settings
    try:
        if settings.janus_url is not None:
            return judge_version(
                await _remote_version(settings.janus_url, settings.janus_api_secret), "The remote Janus"
            )
        binary = find_janus(settings.janus_bin)
        version = releases.parse(await output_of([str(binary), "--version"]))
    except JanusUnavailable as error:
        return [
            problem(JANUS, str(error), "Install it by script/setup, or correct PORTICO_JANUS_BIN or PORTICO_JANUS_URL.")
        ]
    except TimeoutError:
        return [warning(JANUS, f"{binary} did not state its version in time.", "Examine again while less is going on.")]
    except OSError as error:
        text = f"{binary} cannot be started: {reason(error)}."
        return [problem(JANUS, text, "Install Janus again by script/setup or script/build-janus.")]
    return [*judge_version(version, str(binary)), *judge_libraries(missing_libraries(binary))]


def judge_version(version: releases.Version | None, which: str) -> list[Finding]:
    """Findings about a release; None: it does not state its version."""
    if version is None:
        remedy = "Set PORTICO_JANUS_BIN to a Janus of 1.x, or run script/build-janus."
        return [warning(JANUS, f"{which} does not state its version.", remedy)]
    name = f"Janus {releases.dotted(version)}"
    if version < releases.OLDEST:
        return [problem(JANUS, f"{which} is {name}, whose API is another one.", "Run script/build-janus.")]
    findings = []
    for kind, sources in releases.faults_of(version).items():
        make, text = _FAULTS[kind]
        findings.append(make(JANUS, f"{name} {text} ({sources}).", _BUILD))
    if version > releases.NEWEST:
        findings.append(note(JANUS, f"{which} is {name}, which is newer than what was tested with this Portico."))
    return findings or [ok(JANUS, f"{which} is {name}, without known faults.")]


def judge_libraries(missing: list[str]) -> list[Finding]:
    """Findings about libraries of Janus that are not there."""
    if not missing:
        return []
    names = ", ".join(missing)
    return [problem(JANUS, f"Janus lacks {names}.", "Install Debian's package janus, or run script/build-janus.")]


async def check_ports(subject: Subject) -> list[Finding]:
    """Examine how many participants the ports of media carry, and how many of them are in use now."""
    settings = subject.settings
    if settings.janus_url is not None:
        return [note(PORTS, "The Janus of PORTICO_JANUS_URL has a range of ports of its own.")]
    try:
        now = await in_thread(lambda: look(os.getpid(), settings.rtp_ports))
    except OSError:
        now = None
    return judge_ports(settings.rtp_ports, now)


def judge_ports(ports: tuple[int, int], now: Capacity | None) -> list[Finding]:
    """Findings about the ports of media. `now` has the ports that are bound on this machine; None if unknown."""
    people = cameras_in_one_room(ports)
    text = f"UDP {ports[0]}-{ports[1]} carries {people} people with cameras in one room."
    remedy = "Widen PORTICO_RTP_PORTS: N people need N(N + 2) ports."
    findings = [warning(PORTS, text, remedy) if people < FEW_PEOPLE else ok(PORTS, text)]
    if now is None:
        return findings
    free = now.ports_total - now.ports_used
    used = f"{now.ports_used} of {now.ports_total} media ports are in use."
    if now.shortage_of_ports() is not None:
        findings.append(problem(PORTS, f"{used[:-1]}: no participant can join.", remedy))
    elif free < now.ports_total // 5:
        findings.append(warning(PORTS, used, remedy))
    return findings


async def _remote_version(url: str, secret: str | None) -> releases.Version | None:
    link = await open_link(url, secret)
    try:
        answer = await link.core({"janus": "info"}, deadline=3.0)
    except JanusError as error:
        raise JanusUnavailable(f"Janus on {url} refuses us: {error.reason} ({error.code}).") from error
    finally:
        await link.close()
    return releases.parse(str(answer.get("version_string", "")))
