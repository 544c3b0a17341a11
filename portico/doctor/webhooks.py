"""Tries the receivers of webhooks: name, connection and TLS of each. No event is sent."""

import asyncio
import re
from dataclasses import dataclass

from portico.db.connect import open_database
from portico.db.outage import explain
from portico.doctor.finding import Finding, note, ok, warning
from portico.doctor.probes import in_thread
from portico.doctor.subject import Subject
from portico.services import api_keys, rooms
from portico.worker.webhooks import reach

AREA = "webhooks"
RECEIVERS_MAX = 20
_URLS_MAX = 500
_WITHIN_SECS = 3.0


@dataclass(frozen=True, slots=True)
class Rooms:
    """Facts in the database: the webhook URLs of rooms, and whether there are several accounts."""

    urls: list[str]
    several_accounts: bool


async def check(subject: Subject) -> list[Finding]:
    """Connect to each different host of the rooms' URLs, RECEIVERS_MAX at most, all at the same time."""
    settings = subject.settings
    file = settings.sqlite_file
    if file is not None and not file.exists():
        return [note(AREA, "There are no rooms yet.")]
    try:
        found = await in_thread(lambda: _rooms(settings.database))
    except Exception as error:
        if explain(error) is None:
            raise
        return [note(AREA, "No receiver was tried: the rooms cannot be read.")]
    chosen = settings.webhook_internal_addresses
    allow_internal = not found.several_accounts if chosen is None else chosen
    receivers = origins(found.urls)
    tried = [settings.webhook_proxy] if settings.webhook_proxy and receivers else receivers[:RECEIVERS_MAX]
    reasons = await asyncio.gather(
        *(
            reach.why_unreachable(
                url, allow_internal=allow_internal or url == settings.webhook_proxy, within_secs=_WITHIN_SECS
            )
            for url in tried
        )
    )
    if settings.webhook_proxy and receivers:
        return [judge_proxy(origins([settings.webhook_proxy])[0], reasons[0], len(receivers))]
    return judge(dict(zip(tried, reasons, strict=True)), len(receivers) - len(tried))


def judge(reasons: dict[str, str | None], untried: int) -> list[Finding]:
    """Findings about receivers. `reasons`: why each is not reached, None where it is; `untried` counts the others."""
    if not reasons:
        return [note(AREA, "No room has a webhook URL.")]
    findings = [
        warning(
            AREA,
            f"{receiver} is not reached: {reason}.",
            "Check the URL of the rooms, the receiver, and what lies between; events are tried again for "
            "PORTICO_WEBHOOK_RETRY_HOURS.",
        )
        for receiver, reason in reasons.items()
        if reason is not None
    ]
    reached = len(reasons) - len(findings)
    if reached:
        which = next(receiver for receiver, reason in reasons.items() if reason is None)
        text = f"{which} accepts connections." if reached == 1 else f"{reached} receivers accept connections."
        findings.append(ok(AREA, text))
    if untried:
        findings.append(note(AREA, f"{untried} more receivers were not tried."))
    return findings


def judge_proxy(proxy: str, reason: str | None, receivers: int) -> Finding:
    """The finding about a proxy that all webhooks pass. `reason`: why the proxy is not reached, None if it is."""
    if reason is not None:
        return warning(AREA, f"The proxy {proxy} is not reached: {reason}.", "Check PORTICO_WEBHOOK_PROXY.")
    return ok(AREA, f"The proxy {proxy} accepts connections; the {receivers} receivers behind it were not tried.")


def origins(urls: list[str]) -> list[str]:
    """SCHEME://HOST[:PORT] of the URLs, each once, without paths and users, which are secrets of the receivers."""
    found: dict[str, None] = {}
    for url in urls:
        scheme, _, rest = url.partition("://")
        host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        found[f"{scheme.lower()}://{host}"] = None
    return list(found)


def _rooms(database: str) -> Rooms:
    engine = open_database(database).engine
    try:
        with engine.begin() as tx:
            return Rooms(rooms.webhook_urls(tx, limit=_URLS_MAX), api_keys.are_several_accounts(tx))
    finally:
        engine.dispose()
