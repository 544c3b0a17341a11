"""Damaged mjr files are read up to their last intact packet."""

import io
import json
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.converter.mjr import MOST_REPAIRS, NotMjr, Packet, packets, parse_rtp, read_header
from tests.converter.mjr_files import rtp

MEMBERS = {"t": "v", "c": "VP8", "s": 1, "u": 1_700_000_000_000_000}


def head(members: object = MEMBERS) -> bytes:
    text = json.dumps(members).encode()
    return b"MJR00002" + struct.pack(">H", len(text)) + text


def record(arrived_ms: int, packet: bytes) -> bytes:
    return b"MEET" + struct.pack(">IH", arrived_ms, len(packet)) + packet


def read(mjr: bytes) -> list[Packet]:
    file = io.BytesIO(mjr)
    return list(packets(file)) if read_header(file) else []


def some(count: int) -> list[bytes]:
    return [record(20 * number, rtp(number, 960 * number, b"payload %d" % number)) for number in range(count)]


def payloads(found: Sequence[Packet]) -> list[bytes]:
    return [packet.payload for packet in found]


def test_the_header_says_what_was_recorded_and_when_it_began() -> None:
    header = read_header(io.BytesIO(head()))
    assert header is not None
    assert (header.type, header.codec, header.first_packet_us) == ("video", "vp8", 1_700_000_000_000_000)


@pytest.mark.parametrize(
    "mjr",
    [
        b"RIFF",
        b"MJR00001",
        b"MEETECHO\x00\x05video",
        b"MJR00002\x00\x02no",
        head([]),
        head({"t": "d", "c": "text", "u": 1}),
        head({"t": "a", "c": "opus"}),
        head({"t": "a", "c": "opus", "u": -1}),
        head({"t": "a", "c": "opus", "u": 1 << 80}),
        head({**MEMBERS, "e": True}),
    ],
)
def test_what_is_no_mjr_file_is_refused_in_a_sentence(mjr: bytes) -> None:
    with pytest.raises(NotMjr, match=r"\.$"):
        read_header(io.BytesIO(mjr))


def test_an_mjr_that_was_cut_within_its_header_is_empty() -> None:
    for length in range(len(head())):
        assert read_header(io.BytesIO(head()[:length])) is None


def test_payloads_come_without_sources_extensions_and_padding() -> None:
    found = read(head() + b"".join(some(110)))
    assert payloads(found) == [b"payload %d" % number for number in range(110)]
    assert [packet.seq for packet in found] == list(range(110))
    assert [packet.arrived_ms for packet in found] == [20 * number for number in range(110)]


def test_a_cut_anywhere_leaves_all_whole_packets() -> None:
    records = some(5)
    mjr = head() + b"".join(records)
    ends = [len(head()) + sum(map(len, records[:count])) for count in range(6)]
    for length in range(len(head()), len(mjr) + 1):
        whole = sum(length >= end for end in ends) - 1
        assert len(read(mjr[:length])) == whole


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(11),
        bytes(12),  # version 0
        b"\x82" + bytes(15),  # two sources announced, one there
        b"\x90" + bytes(12),  # extension announced, cut off
        b"\x90" + bytes(13) + b"\x00\x09" + bytes(20),  # extension longer than the packet
        b"\xa0" + bytes(11),  # padding of zero bytes
        b"\xa0" + bytes(11) + b"\x05",  # more padding than there is
    ],
)
def test_what_is_no_rtp_is_passed_over(packet: bytes) -> None:
    assert parse_rtp(0, packet) is None
    good = some(3)
    assert payloads(read(head() + good[0] + record(10, packet) + good[1])) == [b"payload 0", b"payload 1"]


def test_padding_alone_is_an_empty_payload() -> None:
    packet = parse_rtp(7, b"\xa0\x60" + bytes(10) + b"\x00\x00\x03")
    assert packet is not None and packet.payload == b""


@pytest.mark.parametrize("missing", [1, 5, 9, 10, 25])
def test_bytes_missing_in_the_middle_cost_the_packets_they_belonged_to_and_one_before_at_most(missing: int) -> None:
    records = some(2500)  # more than the length of a record can swallow
    mjr = head() + b"".join(records)
    for into in range(len(records[8]) - missing):
        at = len(head()) + sum(map(len, records[:8])) + into
        found = payloads(read(mjr[:at] + mjr[at + missing :]))
        assert [payload for payload in found if payload != b"payload 7"] == [
            b"payload %d" % number for number in range(2500) if number not in {7, 8}
        ]


def test_arrival_never_runs_backwards_nor_beyond_reason() -> None:
    a, b, c = (rtp(number, 0, b"payload") for number in range(3))
    mjr = head() + record(1000, a) + record(1000, b) + record(0xFFFFFFFF, b) + record(400_000_000, b) + record(1001, c)
    assert [packet.seq for packet in read(mjr)] == [0, 1, 2]
    assert [packet.seq for packet in read(mjr + record(999, b) + record(1002, c))] == [0, 1, 2]


def test_an_mjr_full_of_false_beginnings_is_given_up() -> None:
    false = (b"MEET" + struct.pack(">IH", 0, 0xFFF0)) * (3 * MOST_REPAIRS)
    assert read(head() + false + b"".join(some(3))) == []


@given(st.binary(max_size=400), st.lists(st.binary(max_size=40), max_size=6))
def test_arbitrary_bytes_do_no_harm(noise: bytes, parts: list[bytes]) -> None:
    mjr = head() + b"MEET".join([noise, *parts]) + record(5, noise)
    found = read(mjr)
    assert len(found) <= len(mjr) // 22
    assert sum(len(packet.payload) for packet in found) <= len(mjr)


@given(st.binary(max_size=200))
def test_arbitrary_headers_do_no_harm(noise: bytes) -> None:
    for mjr in (noise, b"MJR00002" + noise, b"MJR00002" + struct.pack(">H", len(noise)) + noise):
        try:
            read_header(io.BytesIO(mjr))
        except NotMjr:
            continue
