"""SDP rewriting for tokens without `can_subscribe`: Janus gets a send-only offer, the browser gets a sendrecv answer.

The SDK's connect() waits for the mixed track, and would hang without one. The track of this answer carries nothing.
"""

import re

_DIRECTION = re.compile(r"a=\s*(sendrecv|sendonly|recvonly|inactive)\b", re.IGNORECASE)


def offer(jsep: dict[str, str]) -> dict[str, str]:
    """The browser's offer with `sendonly` in each media section, whatever it says (RFC 8866, section 6.7)."""
    lines = [line for line in jsep["sdp"].rstrip().split("\n") if _DIRECTION.match(line) is None]
    session, *media = re.split(r"\n(?=m=)", "\n".join(lines))
    sections = [session.rstrip(), *(f"{section.rstrip()}\r\na=sendonly" for section in media)]
    return {**jsep, "sdp": "\r\n".join(sections) + "\r\n"}


def answer(jsep: dict[str, str]) -> dict[str, str]:
    """Janus' recvonly answer to that offer as a sendrecv answer with a track."""
    sdp = jsep["sdp"].replace("a=recvonly", "a=sendrecv")
    return {**jsep, "sdp": sdp if "a=msid:" in sdp else sdp.replace("a=sendrecv", "a=sendrecv\r\na=msid:janus janus0")}
