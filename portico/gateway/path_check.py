"""Compares Janus' counters of a connection whose media has stopped, where Janus itself does not check the path."""

import asyncio
import contextlib
from typing import Any

from portico.media.janus_errors import JanusError, JanusUnavailable
from portico.media.janus_node import JanusNode
from portico.signaling.dialect import Dialect
from portico.signaling.liveness import COMPARE_SECS, Comparison

ANSWER_SECS = 2.0


async def is_path_lost(node: JanusNode, dialect: Dialect) -> bool:
    """Whether the browser's path is lost; False as soon as a packet came, or when Janus cannot be asked.

    The caller asks when all media of the browser has stopped. The answer takes up to 20 s.
    """
    if node.checks_consent:
        return False
    comparison = Comparison()
    compared = dialect.handles_to_compare
    while handles := [one for one in dialect.handles_to_compare if one in compared]:
        try:
            verdict = comparison.look(compared[0], await _infos(node, dialect.session_id, handles))
        except JanusUnavailable:
            return False
        if verdict is not None:
            return verdict
        await asyncio.sleep(COMPARE_SECS)
    return False


async def _infos(node: JanusNode, session_id: int, handles: list[int]) -> dict[int, dict[str, Any]]:
    """What Janus knows of each handle; handles that were closed meanwhile are left out. Raises JanusUnavailable."""
    infos: dict[int, dict[str, Any]] = {}
    for handle in handles:
        with contextlib.suppress(JanusError):
            infos[handle] = await node.handle_info(session_id, handle, deadline=ANSWER_SECS)
    return infos
