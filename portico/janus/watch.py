"""Watches whether Janus answers, over a connection of its own: it may run on another event loop than the calls."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from portico.janus.config import PLUGINS
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink

CHECK_PERIOD = 2.0
CHECK_DEADLINE = 4.0
SECOND_CHECK_DEADLINE = 2.0
"""Seconds between health checks, for the answers to one, and for the repetition that decides: 8 s to notice a hang."""


async def watch(url: str, secret: str | None) -> str:
    """Return when a plugin does not answer, although the process may still run; the reason as a clause."""
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
    """Ask each plugin for a room, which takes the lock that its requests wait for when a plugin is stuck.

    Raises JanusUnavailable when one does not answer in time.
    """
    exists = {"request": "exists", "room": 1}
    asked: list[Coroutine[Any, Any, Any]] = [link.request(plugin, exists, deadline=deadline) for plugin in PLUGINS]
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        # An error is an answer too: the plugin lives.
        if isinstance(outcome, BaseException) and not isinstance(outcome, JanusError):
            raise outcome
