"""Ends connections of whose browsers no packet arrives, where Janus does not check the paths itself (before 1.2)."""

import asyncio
import contextlib
from typing import Any

import structlog

from portico.gateway.registry import Member, Registry
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.node import JanusNode
from portico.signaling import control
from portico.signaling.control import TEXTROOM, MediaRoom
from portico.signaling.liveness import COMPARE_SECS, Comparison, Quiet

log = structlog.get_logger()

AT_ONCE = 8
"""Rooms that are looked at at the same time."""
ANSWER_SECS = 2.0


class PathWatch:
    """One for a gateway. A round looks at every connection from which no media arrives."""

    def __init__(self, registry: Registry, node: JanusNode) -> None:
        self._registry = registry
        self._node = node
        self._comparisons: dict[Member, Comparison] = {}

    async def run(self) -> None:
        """Round after round, COMPARE_SECS from the begin of one to the begin of the next."""
        now = asyncio.get_running_loop().time
        last = now()
        while True:
            await asyncio.sleep(last + COMPARE_SECS - now())
            last = now()
            if self._node.checks_consent or not self._node.shows_handles:
                continue
            try:
                await self._round()
            except Exception:
                log.exception("paths not looked at")  # the next round tries again

    async def _round(self) -> None:
        rooms = [(room, quiet) for room, members in self._registry.open_rooms() if (quiet := _quiet(members))]
        known = self._comparisons
        self._comparisons = {member: known.get(member, Comparison()) for _, quiet in rooms for member in quiet}
        limit = asyncio.Semaphore(AT_ONCE)

        async def look(room: MediaRoom, quiet: dict[Member, Quiet]) -> None:
            # The room is being closed, or Janus is: nothing is known then.
            async with limit:
                with contextlib.suppress(JanusError, JanusUnavailable):
                    await self._look(room, quiet)

        await asyncio.gather(*(look(room, quiet) for room, quiet in rooms))

    async def _look(self, room: MediaRoom, quiet: dict[Member, Quiet]) -> None:
        """Send the probes whose acknowledgements change the counters until the next look, and read the counters."""
        if any(one.probed for one in quiet.values()):
            await self._node.request(TEXTROOM, control.probe(room), timeout=ANSWER_SECS)
        for member, one in quiet.items():
            comparison = self._comparisons[member]
            if comparison.needs(one) and comparison.look(one, await self._infos(member, one)):
                member.path_lost()

    async def _infos(self, member: Member, quiet: Quiet) -> dict[int, dict[str, Any]]:
        """What Janus knows of each handle; handles that were closed meanwhile are left out."""
        infos: dict[int, dict[str, Any]] = {}
        for handle in quiet.handles:
            with contextlib.suppress(JanusError):
                infos[handle] = await self._node.handle_info(member.dialect.session_id, handle, deadline=ANSWER_SECS)
        return infos


def _quiet(members: list[Member]) -> dict[Member, Quiet]:
    """Those from whom no media arrives, and who are not leaving."""
    found = {member: member.dialect.quiet for member in members if not member.is_ending}
    return {member: quiet for member, quiet in found.items() if quiet is not None}
