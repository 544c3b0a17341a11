"""Frames against another implementation of RFC 6455, and what that leaves to the receiver."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as OtherFrame
from websockets.frames import Opcode

from portico.listener import frames
from portico.listener.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, ProtocolError

PAYLOADS = st.binary(max_size=300) | st.integers(0, 70_000).map(lambda size: bytes(range(256)) * (size // 256 + 1))


@given(st.sampled_from([TEXT, BINARY, CONTINUATION]), PAYLOADS, st.booleans(), st.integers(0, 20))
def test_what_another_client_sends_is_read(opcode: int, payload: bytes, is_last: bool, before: int) -> None:
    data = OtherFrame(Opcode(opcode), payload, is_last).serialize(mask=True)
    buffer = bytearray(b"x" * before + data + b"rest")
    frame, end = frames.parse(buffer, before, 100_000)
    assert frame == frames.Frame(opcode, is_last, payload)
    assert buffer[end:] == b"rest"
    for cut in {1, 2, 3, 7, 9, len(data) - 1}:
        if cut < len(data):
            missing, needed = frames.parse(buffer[: before + cut], before, 100_000)
            assert missing is None and before + cut < needed <= before + len(data)


@given(st.sampled_from([TEXT, BINARY, PING, PONG]), PAYLOADS)
def test_what_is_built_is_read_by_another_client(opcode: int, payload: bytes) -> None:
    payload = payload[:125] if opcode in (PING, PONG) else payload
    data, at = frames.build(opcode, payload), 0

    def read_exact(size: int) -> Any:
        nonlocal at
        at += size
        yield from ()
        return data[at - size : at]

    parsing = OtherFrame.parse(read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == OtherFrame(Opcode(opcode), payload, True)
    assert at == len(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1\x80\0\0\0\0", 1002),  # a bit of an extension that was not agreed on
        (b"\x83\x80\0\0\0\0", 1002),  # an unknown opcode
        (b"\x81\x00", 1002),  # not masked
        (b"\x09\x80\0\0\0\0", 1002),  # half a ping
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),  # a long ping
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1009),
        (b"\x82\xfe\x03\xe9", 1009),  # 1,001 bytes
    ],
)
def test_what_breaks_the_protocol_is_refused_before_the_payload_is_there(data: bytes, code: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        frames.parse(data, 0, 1000)
    assert refused.value.code == code


def test_a_ping_passes_within_a_message_that_is_as_long_as_it_may_be() -> None:
    frame, _ = frames.parse(b"\x89\x85\0\0\0\0hello", 0, 0)
    assert frame is not None and frame.payload == b"hello"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"", (1005, "")), (b"\x03\xe8", (1000, "")), (b"\x03\xe9bye", (1001, "bye")), (b"\x0f\xa0\xc3\xa4", (4000, "ä"))],
)
def test_close_frames_say_code_and_reason(payload: bytes, expected: tuple[int, str]) -> None:
    assert frames.parse_close(payload) == expected


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x00\x01", b"\x13\x88", b"\x03\xe8\xff"])
def test_other_close_frames_are_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        frames.parse_close(payload)


@given(st.integers(1000, 4999), st.text(max_size=200))
def test_a_long_reason_is_cut_between_characters(code: int, reason: str) -> None:
    payload = frames.close_payload(code, reason)
    assert len(payload) <= 125 and int.from_bytes(payload[:2]) == code
    assert reason.startswith(payload[2:].decode())
    assert frames.build(CLOSE, payload)[1] == len(payload)
