"""Runs all checks at the same time, each within its deadline, and puts their findings in order."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from portico.config.settings import Settings
from portico.doctor import (
    addresses,
    certificate,
    composing,
    configuration,
    database,
    front,
    machine,
    media,
    ports,
    relay,
    server,
    storage,
    webhooks,
)
from portico.doctor.finding import Finding, problem, warning
from portico.doctor.probes import in_thread
from portico.doctor.subject import Subject, subject_of

SETTINGS_SECS = 4.0
"""How long the names in settings may take to resolve."""
CHECK_SECS = 8.0
"""How long a check may take; those with many parts give each of these less."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the area that it examines, in a word, and its function."""

    area: str
    run: Callable[[Subject], Awaitable[list[Finding]]]


CHECKS = (
    Check(configuration.AREA, configuration.check),
    Check(server.AREA, server.check),
    Check(addresses.AREA, addresses.check),
    Check(ports.AREA, ports.check),
    Check(front.AREA, front.check),
    Check(certificate.AREA, certificate.check),
    Check(relay.AREA, relay.check),
    Check(media.JANUS, media.check_janus),
    Check(media.PORTS, media.check_ports),
    Check(machine.CLOCK, machine.check_clock),
    Check(machine.FILES, machine.check_files),
    Check(machine.DISK, machine.check_disk),
    Check(database.AREA, database.check),
    Check(storage.AREA, storage.check),
    Check(webhooks.AREA, webhooks.check),
    Check(composing.FFMPEG, composing.check_ffmpeg),
    Check(composing.FONTS, composing.check_fonts),
)
"""In the order in which their findings are shown: what every call needs comes first."""


async def examine_settings(settings: Settings, on_progress: Callable[[frozenset[str]], None]) -> list[Finding]:
    """All findings about a server with these settings, within SETTINGS_SECS and CHECK_SECS."""
    try:
        async with asyncio.timeout(SETTINGS_SECS):
            subject = await in_thread(lambda: subject_of(settings))
    except TimeoutError:
        refusal = f"the name servers of this machine do not answer within {SETTINGS_SECS:g} s (PORTICO_MEDIA_ADDRESS)"
        subject = Subject(settings, refusal)
    return await examine(subject, on_progress=on_progress)


async def examine(
    subject: Subject,
    *,
    checks: tuple[Check, ...] = CHECKS,
    on_progress: Callable[[frozenset[str]], None] = lambda _: None,
    within_secs: float = CHECK_SECS,
) -> list[Finding]:
    """The findings of all checks. `on_progress` is given the areas that are still being examined."""
    left = {check.area for check in checks}
    on_progress(frozenset(left))

    async def one(check: Check) -> list[Finding]:
        found = await _run(check, subject, within_secs)
        left.discard(check.area)
        on_progress(frozenset(left))
        return found

    return [finding for found in await asyncio.gather(*map(one, checks)) for finding in found]


async def _run(check: Check, subject: Subject, within_secs: float) -> list[Finding]:
    try:
        async with asyncio.timeout(within_secs):
            return await check.run(subject)
    except TimeoutError:
        text = f"It was not examined: {within_secs:g} s were not enough."
        return [
            warning(check.area, text, "Examine again; if it stays so, see what hangs (network, disk, name server).")
        ]
    except Exception as error:  # a fault of one check must not hide what the others found
        log.exception("examination failed", area=check.area)
        text = f"The examination itself failed ({type(error).__name__})."
        return [problem(check.area, text, "Report it with the lines above; the other findings stand.")]
