"""What of the offer of a connection check reaches Janus."""

import pytest

from portico.signaling.check_offer import OFFER_LENGTH_MAX, prepared
from portico.signaling.policy import RequestRefused
from tests.gateway.check_client import OFFER

CLIENT = "203.0.113.7"
OWN = f"a=candidate:1 1 udp 2113937151 {CLIENT} 50000 typ host generation 0"
FOREIGN = [
    "a=candidate:2 1 udp 2113937151 10.0.0.1 5432 typ host",
    "a=candidate:3 1 tcp 1518280447 127.0.0.1 8188 typ host tcptype active",
    "a=candidate:4 1 udp 1677729535 169.254.169.254 80 typ srflx raddr 203.0.113.7 rport 50000",
    "a=candidate:5 1 udp 2113937151 0e0a12b6-9b43-4b04-a0d2-8a21c1a1f0c1.local 50000 typ host",
    "a=candidate:6 1 udp",
    "a=candidate:",
]


def test_candidates_of_other_addresses_are_removed() -> None:
    offer = OFFER + "".join(f"{line}\r\n" for line in [OWN, *FOREIGN])
    assert prepared(offer, CLIENT) == f"{OFFER}{OWN}\r\n"
    assert prepared(offer, "") == OFFER


def test_an_address_counts_in_any_spelling() -> None:
    line = "a=candidate:1 1 udp 2113937151 2001:db8::1 50000 typ host\r\n"
    assert prepared(OFFER + line, "2001:0db8:0:0::0001") == OFFER + line


@pytest.mark.parametrize(
    "offer",
    [
        None,
        7,
        "",
        "v=0\r\n",
        OFFER + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        OFFER.replace("m=video", "m=application"),
        OFFER + "a" * OFFER_LENGTH_MAX,
    ],
)
def test_other_offers_are_refused(offer: object) -> None:
    with pytest.raises(RequestRefused):
        prepared(offer, CLIENT)


def test_a_candidate_behind_a_bare_line_feed_or_return_is_a_line_as_well() -> None:
    """Janus' parser takes both for the end of a line."""
    for end in ("\n", "\r"):
        assert "10.0.0.1" not in prepared(OFFER.rstrip() + end + FOREIGN[0] + "\r\n", CLIENT)
