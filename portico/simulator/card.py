"""The test picture of a participant: it shows name, clock and frame number, and the encoded frame carries the number.

Number and clock are appended to the encoded picture, where decoders ignore them. So a receiver knows which picture
arrived, and when it was sent, without decoding it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from struct import Struct
from typing import Any

import av

from portico.client import EncodedFrame, VideoFrame
from portico.client.coding import Vp8Encoder

WIDTH, HEIGHT, RATE = 320, 180, 10
WHOLE_EVERY = 10
"""Every 10th picture is a key frame: a new receiver, or one that lost a picture, waits for up to a second."""
BITRATE = 150_000
_TRAILER = Struct("!4s8sIId")
_MARK = b"PSIM"

# Letters of 5 rows with 3 columns, each row an octal digit: 4 is the left column, 1 the right one.
_ROWS = (
    "75557 26227 71747 71317 55711 74717 74757 71122 75757 75717 25755 65656 34443 65556 74647 74644 34553 55755 72227 "
    "11152 55655 44447 57755 65555 25552 65644 25573 65655 34216 72222 55557 55552 55775 55255 55222 71247 02020 00002 "
    "00700 00000"
)
_LETTERS = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ:.- ", _ROWS.split(), strict=True))


@dataclass(frozen=True, slots=True)
class Note:
    """What is appended to an encoded frame: its stream, its number, and when it was sent."""

    sender: int
    number: int
    sent: float
    """The time.monotonic() of the simulator."""


class Card:
    """A video source: the test pictures of one stream."""

    def __init__(self, name: str, run: bytes, sender: int) -> None:
        """`run` is 8 bytes that name this run of the simulator, `sender` the number of this stream in the run."""
        self._name = name
        self._run = run
        self._sender = sender
        self._blank = _background(sender)
        _write(self._blank, name[:19], 10, 12, 4)

    async def video_frames(self) -> AsyncIterator[EncodedFrame]:
        """Encoded pictures, RATE a second, each drawn when it is due."""
        encoder, loop = Vp8Encoder(BITRATE, RATE), asyncio.get_running_loop()
        began, number, step = loop.time(), 0, 0
        while True:
            step += 1
            await asyncio.sleep(began + step / RATE - loop.time())
            if number % WHOLE_EVERY == 0:
                encoder.request_keyframe()
            made = encoder.encode(VideoFrame(self._draw(number), step / RATE))
            if made is None:
                continue
            note = _TRAILER.pack(_MARK, self._run, self._sender, number, time.monotonic())
            yield EncodedFrame(made.data + note, made.time, made.codec, made.keyframe)
            number += 1

    def _draw(self, number: int) -> av.VideoFrame:
        luma = bytearray(self._blank)
        clock = time.strftime("%H:%M:%S") + f".{int(time.time() * 10) % 10}"
        _write(luma, clock, 10, 60, 7)
        _write(luma, str(number), 10, 120, 8)
        image: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        plane, *chroma = image.planes
        if plane.line_size == WIDTH:
            plane.update(luma)
        else:
            pad = bytes(plane.line_size - WIDTH)
            plane.update(b"".join(luma[at : at + WIDTH] + pad for at in range(0, len(luma), WIDTH)))
        for at, each in enumerate(chroma):
            each.update(bytes([96 + (self._sender * (29 + 24 * at)) % 64]) * each.buffer_size)
        made: av.VideoFrame = image
        return made


def read_note(frame: EncodedFrame, run: bytes) -> Note | None:
    """The note in a frame; None for a frame that this run of the simulator did not send."""
    if len(frame.data) < _TRAILER.size:
        return None
    mark, theirs, sender, number, sent = _TRAILER.unpack(frame.data[-_TRAILER.size :])
    return Note(sender, number, sent) if (mark, theirs) == (_MARK, run) else None


def _background(sender: int) -> bytearray:
    """A dark picture (luma plane) with bars at its lower edge, whose shades differ from sender to sender."""
    luma = bytearray(bytes([48]) * (WIDTH * HEIGHT))
    for bar in range(16):
        shade = 60 + (bar * 11 + sender * 37) % 120
        for row in range(HEIGHT - 14, HEIGHT - 4):
            at = row * WIDTH + bar * 20
            luma[at : at + 18] = bytes([shade]) * 18
    return luma


def _write(luma: bytearray, text: str, left: int, top: int, scale: int) -> None:
    """Write a text in letters of 3 by 5 squares with `scale` pixels each; letters without a form are left out."""
    dot = b"\xeb" * scale
    for letter in text.upper():
        if left + 3 * scale > WIDTH:
            return
        for row, digit in enumerate(_LETTERS.get(letter, "00000")):
            for column in range(3):
                if int(digit) & 4 >> column:
                    for line in range(scale):
                        at = (top + row * scale + line) * WIDTH + left + column * scale
                        luma[at : at + scale] = dot
        left += 4 * scale
