"""Offers and answers of a PeerConnection whose media are packets. Pure. Source: RFC 8866, 8839, 8829."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.packets.rtp import AUDIO_LEVEL_ID, OPUS, VP8

_CODECS = {
    "audio": (OPUS, ("opus/48000/2",), (f"extmap:{AUDIO_LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",)),
    "video": (VP8, ("VP8/90000",), (f"rtcp-fb:{VP8} nack", f"rtcp-fb:{VP8} nack pli", f"rtcp-fb:{VP8} goog-remb")),
}


@dataclass(frozen=True)
class Local:
    """Our side of a PeerConnection."""

    user: str
    password: str
    fingerprint: str
    address: tuple[str, int]


@dataclass(frozen=True)
class Medium:
    """One m-line: its kind, its direction, and our number of its packets (0: we send none)."""

    kind: str
    direction: str
    ssrc: int = 0


@dataclass(frozen=True)
class Remote:
    """What Janus' description says. `ssrcs` has the number of the packets of each m-line, 0 where none is named."""

    user: str
    password: str
    addresses: tuple[tuple[str, int], ...]
    is_dtls_client: bool
    kinds: tuple[str, ...]
    mids: tuple[str, ...]
    ssrcs: tuple[int, ...]


def description(local: Local, media: Sequence[Medium], setup: str, mids: Sequence[str] | None = None) -> str:
    """An offer (`setup` is actpass) or an answer (active)."""
    mids = mids or [str(index) for index in range(len(media))]
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    for mid, medium in zip(mids, media, strict=True):
        lines += _medium(local, medium, setup, mid)
    return "\r\n".join(lines) + "\r\n"


def _medium(local: Local, medium: Medium, setup: str, mid: str) -> list[str]:
    payload, maps, attributes = _CODECS[medium.kind]
    host, port = local.address
    lines = [
        f"m={medium.kind} {port} UDP/TLS/RTP/SAVPF {payload}",
        f"c=IN IP4 {host}",
        "a=rtcp-mux",
        f"a=mid:{mid}",
        f"a={medium.direction}",
        f"a=ice-ufrag:{local.user}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
        *(f"a=rtpmap:{payload} {name}" for name in maps),
        *(f"a={attribute}" for attribute in attributes),
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
    ]
    return lines + ([f"a=ssrc:{medium.ssrc} cname:load"] if medium.ssrc else [])


def read(text: str) -> Remote:
    """What a description of Janus says."""
    _, *media = re.split(r"(?m)^m=", text)
    return Remote(
        user=_first(r"^a=ice-ufrag:(\S+)", text),
        password=_first(r"^a=ice-pwd:(\S+)", text),
        addresses=tuple(
            dict.fromkeys(
                (host, int(port)) for host, port in re.findall(r"(?mi)^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+)", text)
            )
        ),
        is_dtls_client=_first(r"^a=setup:(\S+)", text) == "active",
        kinds=tuple(medium.split(" ", 1)[0] for medium in media),
        mids=tuple(_first(r"^a=mid:(\S+)", medium) for medium in media),
        ssrcs=tuple(int(_first(r"^a=ssrc:(\d+)", medium) or 0) for medium in media),
    )


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else ""
