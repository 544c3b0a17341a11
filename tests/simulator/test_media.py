"""The pictures and tones of simulated participants: decoders show them, and each is recognised among others."""

import itertools
from typing import Any

from portico.client import AudioFrame, EncodedFrame
from portico.client.coding import OpusDecoder, VideoDecoder
from portico.simulator import tones
from portico.simulator.card import HEIGHT, WIDTH, Card, read_note

RUN = b"12345678"


async def test_a_picture_says_who_sent_it_and_which_one_it_is_and_decoders_ignore_that() -> None:
    frames: list[EncodedFrame] = []
    async for frame in Card("Ada 1", RUN, 7).video_frames():
        frames.append(frame)
        if len(frames) == 12:
            break
    notes = [read_note(frame, RUN) for frame in frames]
    assert [(note.sender, note.number) for note in notes if note is not None] == [(7, number) for number in range(12)]
    assert [frame.keyframe for frame in frames] == [number % 10 == 0 for number in range(12)]
    assert read_note(frames[0], b"another1") is None
    assert read_note(EncodedFrame(b"short", 0.0, "vp8"), RUN) is None
    decoder = VideoDecoder()
    pictures = [picture for frame in frames for picture in decoder.decode(frame)]
    assert [(one.width, one.height) for one in pictures] == [(WIDTH, HEIGHT)] * 12
    first, last = (_luma(pictures[index]) for index in (8, 11))
    assert _white(first, top=120) ^ _white(last, top=120), "the number"
    assert _white(first, top=60) ^ _white(last, top=60), "the clock"
    assert len(_white(first, top=12) ^ _white(last, top=12)) < 20, "the name"


def _luma(picture: Any) -> list[bytes]:
    plane = picture.image.planes[0]
    data = bytes(plane)
    return [data[row * plane.line_size :][:WIDTH] for row in range(HEIGHT)]


def _white(luma: list[bytes], *, top: int) -> set[tuple[int, int]]:
    """The number of bright pixels in the line of text that begins at this row."""
    return {(row, column) for row in range(top, top + 20) for column, value in enumerate(luma[row]) if value > 140}


def test_each_tone_is_recognised_in_a_mix_and_no_other() -> None:
    decoders = {number: OpusDecoder() for number in (0, 1, 9)}
    pieces = {
        number: list(itertools.chain.from_iterable(decoder.decode(frame) for frame in tones.tone(number).frames))[20]
        for number, decoder in decoders.items()
    }
    mix = [sum(samples) // 20 for samples in zip(*(piece.samples for piece in pieces.values()), strict=True)]
    frame = AudioFrame(b"".join(value.to_bytes(2, "little", signed=True) for value in mix), 0.0)
    assert [number for number in range(tones.COUNT) if tones.is_there(frame, number)] == [0, 1, 9]
    assert not tones.is_there(AudioFrame(bytes(1920), 0.0), 0)
