"""Frames of the WebSocket protocol (RFC 6455, section 5), server side: parsing one at a time, and building. Pure."""

from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CONTROL_LENGTH_MAX = 125
_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_CODE, LOST, NOT_TEXT, POLICY, TOO_BIG, FAILED, RESTARTS = (
    *(1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1011, 1012),
)
"""Close codes of the protocol (RFC 6455, section 7.4.1, and IANA). Those of calls are signaling.effects.CloseCode."""
_SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


class ProtocolError(Exception):
    """The client breaks the protocol or a limit. `code` is the close code for it (RFC 6455, section 7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, with its payload unmasked."""

    opcode: int
    is_last: bool
    payload: bytes


def parse(buffer: bytes | bytearray, start: int, length_max: int) -> tuple[Frame | None, int]:
    """(the frame at `start`, the offset after it), or (None, the length that the buffer must have) for a partial frame.

    Raises ProtocolError, for a data frame longer than `length_max` as soon as its header is there.
    """
    have = len(buffer)
    if have < start + 2:
        return None, start + 2
    first, second = buffer[start], buffer[start + 1]
    opcode, length, at = first & 0x0F, second & 0x7F, start + 2
    if first & 0x70 or opcode not in _KNOWN:
        raise ProtocolError(PROTOCOL_ERROR, "unknown bits or opcode")
    if not second & 0x80:
        raise ProtocolError(PROTOCOL_ERROR, "a client's frame is masked")
    if opcode >= CLOSE and (length > CONTROL_LENGTH_MAX or not first & 0x80):
        raise ProtocolError(PROTOCOL_ERROR, "a control frame is short and whole")
    if length > CONTROL_LENGTH_MAX:
        size = 2 if length == 126 else 8
        if have < at + size:
            return None, at + size
        length = int.from_bytes(buffer[at : at + size])
        at += size
    if length > length_max and opcode < CLOSE:
        raise ProtocolError(TOO_BIG, "the message is too long")
    end = at + 4 + length
    if have < end:
        return None, end
    return Frame(opcode, first & 0x80 != 0, _unmask(buffer[at : at + 4], buffer[at + 4 : end])), end


def _unmask(mask: bytes | bytearray, payload: bytes | bytearray) -> bytes:
    size = len(payload)
    if not size:
        return b""
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def build(opcode: int, payload: bytes) -> bytes:
    """The bytes of a message or control frame in one frame, not masked, as a server sends it."""
    size = len(payload)
    if size <= CONTROL_LENGTH_MAX:
        return bytes((0x80 | opcode, size)) + payload
    if size <= 0xFFFF:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame. The reason is cut to the 123 bytes that fit."""
    return code.to_bytes(2) + reason.encode()[: CONTROL_LENGTH_MAX - 2].decode(errors="ignore").encode()


def parse_close(payload: bytes) -> tuple[int, str]:
    """(code, reason) of a close frame's payload; code 1005 for an empty payload. Raises ProtocolError."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (code in _SENDABLE or 3000 <= code <= 4999):
        raise ProtocolError(PROTOCOL_ERROR, "not a close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(NOT_TEXT, "the reason is not UTF-8") from None
