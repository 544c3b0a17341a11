"""The mixer of a browser that may speak and not hear: Janus is offered no receiver, the browser is answered as ever.

The SDK's connect() waits for the mixed track and would hang without one; this one stays silent.
"""

import re

_DIRECTION = re.compile(r"a=\s*(sendrecv|sendonly|recvonly|inactive)\b", re.IGNORECASE)


def offer(jsep: dict[str, str]) -> dict[str, str]:
    """The browser's offer, as if it only sent, whatever it says of that or leaves out (RFC 8866, section 6.7)."""
    lines = [line for line in jsep["sdp"].rstrip().split("\n") if _DIRECTION.match(line) is None]
    session, *media = re.split(r"\n(?=m=)", "\n".join(lines))
    sections = [session.rstrip(), *(f"{section.rstrip()}\r\na=sendonly" for section in media)]
    return {**jsep, "sdp": "\r\n".join(sections) + "\r\n"}


def answer(jsep: dict[str, str]) -> dict[str, str]:
    """Janus' answer to that, as if it sent too."""
    sdp = jsep["sdp"].replace("a=recvonly", "a=sendrecv")
    return {**jsep, "sdp": sdp if "a=msid:" in sdp else sdp.replace("a=sendrecv", "a=sendrecv\r\na=msid:janus janus0")}
