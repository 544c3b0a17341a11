"""Reduces the offer of a connection check to one audio and one video section, without addresses of other machines."""

import re
from ipaddress import ip_address

from portico.signaling.policy import RequestRefused

OFFER_LENGTH_MAX = 16_000
"""Characters. Chromium's offer of audio and video has about 6,000."""
_END = re.compile(r"\r\n|\n|\r")


def prepared(offer: object, client: str) -> str:
    """The SDP of an offer without the candidates that are not of the client's own address. Raises RequestRefused.

    Janus sends checks to every candidate: an anonymous client could make it send packets into internal networks. The
    browser's own checks open the path; a candidate is needed only where Janus is behind a NAT with no known address.
    """
    if not isinstance(offer, str) or len(offer) > OFFER_LENGTH_MAX:
        raise RequestRefused(f"sdp must be a text of at most {OFFER_LENGTH_MAX} characters")
    all_lines = _END.split(offer)
    sections = sorted(line.partition(" ")[0] for line in all_lines if line.startswith("m="))
    if sections not in (["m=audio"], ["m=video"], ["m=audio", "m=video"]):
        raise RequestRefused("an offer of a check has at most one audio and one video section")
    lines = [line for line in all_lines if not line.startswith("a=candidate:") or _is_of(line, client)]
    return "\r\n".join(lines)


def _is_of(line: str, client: str) -> bool:
    """Whether a candidate line (RFC 8839, section 5.1) has the client's address."""
    words = line.split()
    try:
        return len(words) > 5 and ip_address(words[4]) == ip_address(client)
    except ValueError:
        return False  # a name, such as those of mDNS
