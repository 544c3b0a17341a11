"""Watches whether Janus answers, over its own connection, so that it can run on another event loop than the calls."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from portico.janus.config import PLUGINS
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink

CHECK_PERIOD = 2.0
CHECK_DEADLINE = 4.0
SECOND_CHECK_DEADLINE = 2.0
"""Seconds between health checks, for the answers to one, and to its repetition: a hang is noticed within 8 s."""


async def watch(url: str, secret: str | None) -> str:
    """Return when a plugin does not answer, even if the process runs; the reason is a clause that follows "Janus"."""
    link: JanusLink | None = None
    try:
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            for deadline in (CHECK_DEADLINE, SECOND_CHECK_DEADLINE):
                try:
                    link = link or await JanusLink.open(url, secret, deadline=deadline)
                    await check(link, deadline)
                    break
                except JanusError as error:
                    return f"refuses us: {error.reason}"
                except JanusUnavailable:
                    if link is not None and link.is_lost:
                        await link.close()
                        link = None
            else:
                return "does not answer any more"
    finally:
        if link is not None:
            await link.close()


async def check(link: JanusLink, deadline: float) -> None:
    """Ask each plugin whether a room exists: a plugin that is stuck holds the lock that this request needs.

    Raises JanusUnavailable if one does not answer within `deadline` seconds.
    """
    exists = {"request": "exists", "room": 1}
    requests: list[Coroutine[Any, Any, Any]] = [link.request(plugin, exists, deadline=deadline) for plugin in PLUGINS]
    for outcome in await asyncio.gather(*requests, return_exceptions=True):
        # An error is an answer too: the plugin works.
        if isinstance(outcome, BaseException) and not isinstance(outcome, JanusError):
            raise outcome
