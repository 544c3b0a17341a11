"""The end of a connection: both sockets are closed, and the leave of its participant is written."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, repeat

from structlog.typing import FilteringBoundLogger

from portico.db.outage import faults_logged
from portico.gateway.admission import Admission
from portico.gateway.browser_socket import BrowserSocket
from portico.gateway.context import GatewayContext
from portico.gateway.janus_socket import JanusSocket
from portico.gateway.recorder import Recorder
from portico.services import participants
from portico.signaling.dialect import Dialect
from portico.signaling.effects import CloseCode

CLOSE_FIRST_SECS = 0.1
"""How long the end waits for the browser to receive its close code before others learn that the participant left."""
ROW_FIRST_SECS = 2
"""How long Janus' session stays open while the database does not take the leave."""
LEFT_REASONS = {
    CloseCode.TIMED_OUT: "timeout",
    CloseCode.FAILED: "timeout",
    CloseCode.SESSION_ENDED: "session_ended",
    CloseCode.RESTART: "server_stopped",
    CloseCode.REMOVED: "kicked",
    CloseCode.MEDIA_LOST: "timeout",
}
"""left_reason of a participant by the close code of its connection; "left" for the other codes."""


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ends."""

    code: CloseCode | None
    """The close code to send; None when the browser's socket is closed already."""
    text: str
    """The reason that is sent with the code, and logged."""
    left_reason: str
    """left_reason of the participant's row."""
    at_once: bool = False
    """Whether Janus' session is closed first: the browser is in a room where it must not be."""


@dataclass(slots=True)
class Leaving:
    """Everything that the end of one connection has to close or write."""

    context: GatewayContext
    log: FilteringBoundLogger
    browser: BrowserSocket
    dialect: Dialect
    admission: Admission
    janus: JanusSocket | None
    recorder: Recorder | None
    end: End

    async def run(self) -> None:
        """Close both sockets and write the leave, however long the database does not take it."""
        self.admission.stop_joining()
        if self.recorder is not None:
            self.recorder.leave()
        written = asyncio.create_task(self._write_leave(self.context.clock()))
        browser_closed = asyncio.create_task(self._close_browser())
        answered = asyncio.create_task(self._wait_for_answers())
        if self.end.at_once:
            await answered
            await self._close_janus()
        # Janus reports the leave to the others as soon as its session closes. The browser receives its close code
        # first, unless it does not read: then it must not stay in the room for that reason.
        await asyncio.wait({browser_closed}, timeout=CLOSE_FIRST_SECS)
        # The row is written before, too, so that the API does not list a participant who is gone for the others. When
        # the database does not answer, the session closes first: a call that has ended carries no media.
        await asyncio.wait({written}, timeout=ROW_FIRST_SECS)
        await answered
        await self._close_janus()
        self.admission.leave_room()
        await asyncio.gather(written, browser_closed)

    async def _wait_for_answers(self) -> None:
        if self.janus is not None:
            await self.janus.wait_for_answers(self.dialect)

    async def _close_janus(self) -> None:
        if self.janus is not None:
            await self.janus.close()

    async def _close_browser(self) -> None:
        if self.end.code is not None:
            await self.browser.close(self.end.code, self.end.text)

    async def _write_leave(self, at: datetime) -> None:
        """Write that the participant, if there is one, left at this time."""
        joined = await self.admission.joined()
        if joined is None:
            return
        await self._write_recordings()
        reason = self.end.left_reason
        leave = partial(participants.leave, participant_id=joined.participant_id, reason=reason, now=at)
        for pause in chain((0.1, 0.5), repeat(2.0)):
            written = False
            with faults_logged("leave not written", participant_id=joined.participant_id, tried_again_in_secs=pause):
                await self.context.db.write(leave)
                written = True
            if written:
                break
            await asyncio.sleep(pause)
        self.admission.left.set()
        self.log.info("participant left", reason=reason, how=self.end.text)

    async def _write_recordings(self) -> None:
        if self.recorder is None:
            return
        with faults_logged("timelines not written"):  # writing the leave ends the recordings all the same
            async with asyncio.timeout(ROW_FIRST_SECS):
                await self.recorder.write()
