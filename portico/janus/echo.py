"""Echoes of Janus' EchoTest plugin: PeerConnections whose media Janus sends back to the browser, for connection checks.

Messages: https://janus.conf.meetecho.com/docs/echotest.html
"""

import contextlib
from dataclasses import dataclass
from typing import Any

from portico.janus.config import ECHOTEST
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink

ANSWER_SECS = 5.0
"""How long Janus may take to open a session, to answer an offer, or to end a handle."""


class NoEchoTest(Exception):
    """This Janus has no EchoTest plugin."""


@dataclass(frozen=True, slots=True)
class Echo:
    """One PeerConnection with Janus."""

    session_id: int
    handle_id: int
    answer: str
    """The SDP of Janus' answer."""


class EchoSession:
    """A Janus session on a socket of its own. Janus frees all echoes when the socket closes."""

    def __init__(self, link: JanusLink, session_id: int) -> None:
        self._link = link
        self.session_id = session_id

    @classmethod
    async def open(cls, url: str, secret: str | None) -> "EchoSession":
        """Connect to Janus. Raises JanusUnavailable, and JanusError if `secret` is wrong."""
        link = await JanusLink.open_bare(url, secret, deadline=ANSWER_SECS)
        try:
            created = await link.core({"janus": "create"}, deadline=ANSWER_SECS)
            return cls(link, created["data"]["id"])
        except BaseException:
            await link.close()
            raise

    async def begin(self, offer: str, bitrate_max: int) -> Echo:
        """Answer an offer. Janus asks the browser to send video of at most `bitrate_max` bits per second.

        Raises NoEchoTest, JanusError for an offer that Janus cannot answer, and JanusUnavailable.
        """
        session = {"session_id": self.session_id}
        try:
            attach = {**session, "janus": "attach", "plugin": ECHOTEST}
            handle_id: int = (await self._link.core(attach, deadline=ANSWER_SECS))["data"]["id"]
        except JanusError as error:
            raise NoEchoTest from error
        handle = {**session, "handle_id": handle_id}
        body = {"audio": True, "video": True, "bitrate": bitrate_max, "record": False}
        message = {**handle, "janus": "message", "body": body, "jsep": {"type": "offer", "sdp": offer}}
        try:
            return Echo(self.session_id, handle_id, _answer_in(await self._link.core(message, deadline=ANSWER_SECS)))
        except BaseException:
            await self.end(handle_id)
            raise

    async def end(self, handle_id: int) -> None:
        """End an echo; nothing happens where it has ended."""
        with contextlib.suppress(JanusError, JanusUnavailable):
            detach = {"janus": "detach", "session_id": self.session_id, "handle_id": handle_id}
            await self._link.core(detach, deadline=ANSWER_SECS)

    async def close(self) -> None:
        """Close the socket, and with it the session and all echoes."""
        await self._link.close()


def _answer_in(event: dict[str, Any]) -> str:
    """The SDP of the answer in the plugin's event; JanusError for an event with an error."""
    data = event.get("plugindata", {}).get("data", {})
    if "error_code" in data or "jsep" not in event:
        raise JanusError(data.get("error_code", 0), str(data.get("error", "no answer")))
    sdp: str = event["jsep"]["sdp"]
    return sdp
