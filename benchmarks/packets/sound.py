"""Opus packets that are encoded ahead, and what a listener's packets sound like afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48000
SAMPLES = 960
LOOP_SECS = 4
PULSE_HERTZ = 3000
PULSE_EVERY_SECS = 1.0
PULSE_SECS = 0.2
BITRATE = 32000
"""About what Chromium sends of one voice."""
TONE_AMPLITUDE = 0.3


def tone_hertz(index: int) -> int:
    """The tone of the publisher with this number: whole numbers of waves in a loop, far enough from each other."""
    return 300 + 90 * index


def tone(hertz: int, *, pulse: bool = False) -> list[bytes]:
    """LOOP_SECS of a tone as Opus packets of 20 ms; with `pulse` also a short higher one at each second's begin."""
    times = np.arange(RATE * LOOP_SECS) / RATE
    samples = np.sin(2 * np.pi * hertz * times) * TONE_AMPLITUDE
    if pulse:
        samples += np.where(times % PULSE_EVERY_SECS < PULSE_SECS, np.sin(2 * np.pi * PULSE_HERTZ * times) * 0.3, 0)
    return _encode(samples)


def silence() -> list[bytes]:
    """What a muted microphone sends: packets of silence."""
    return _encode(np.zeros(RATE))


def _encode(samples: NDArray[np.float64]) -> list[bytes]:
    """Opus packets of a sound that is played again and again: the encoder has had its end when it begins."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", RATE
    encoder.bit_rate, encoder.time_base = BITRATE, Fraction(1, RATE)
    encoder.options = {"application": "voip", "vbr": "on", "frame_duration": "20"}
    frames = (np.concatenate([samples, samples]) * 32767).astype(np.int16).reshape(-1, SAMPLES)
    packets: list[bytes] = []
    for index, frame in enumerate(frames):
        audio = av.AudioFrame.from_ndarray(frame[None, :], format="s16", layout="mono")
        audio.sample_rate, audio.pts, audio.time_base = RATE, index * SAMPLES, Fraction(1, RATE)
        packets += [bytes(packet) for packet in encoder.encode(audio)]
    return packets[-len(frames) // 2 :]


def decode(packets: Sequence[bytes | None]) -> NDArray[np.float64]:
    """The sound of packets of 20 ms, 1 is full scale; silence where a packet is missing."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", RATE
    pieces: list[NDArray[np.float64]] = []
    for payload in packets:
        decoded = decoder.decode(av.Packet(payload)) if payload else []
        piece = np.concatenate([_samples(frame) for frame in decoded]) if decoded else np.zeros(SAMPLES)
        pieces.append(piece[:SAMPLES] if len(piece) >= SAMPLES else np.pad(piece, (0, SAMPLES - len(piece))))
    return np.concatenate(pieces) if pieces else np.zeros(0)


def _samples(frame: object) -> NDArray[np.float64]:
    assert isinstance(frame, av.AudioFrame)
    array = (
        frame.to_ndarray().reshape(-1, len(frame.layout.channels)) if frame.format.is_packed else frame.to_ndarray().T
    )
    scale = 32768 if array.dtype == np.int16 else 1
    mono: NDArray[np.float64] = array[:, 0].astype(np.float64) / scale
    return mono


@dataclass(frozen=True)
class Recognition:
    """What a listener's mix has of the tones that were sent."""

    tones: int
    """Tones that stand out of the rest by 20 dB or more."""
    noise_db: float
    """Everything between the tones, against the tones together: below -20 dB it is clean."""
    level_db: float
    """The loudest sample; 0 is full scale."""


def recognise(samples: NDArray[np.float64], tones: Sequence[int]) -> Recognition:
    """Which of the tones (Hz) are in a sound of a second or more, and how much else is."""
    if len(samples) < RATE // 2:
        return Recognition(0, 0.0, -120.0)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    near = {one: np.abs(hertz - one) <= 15 for one in tones}
    among = np.any(list(near.values()), axis=0)
    others = ~among & (hertz > 100) & (np.abs(hertz - PULSE_HERTZ) > 200)
    peaks = {one: float(np.max(power[near[one]])) for one in tones}
    floor = float(np.median(power[others])) + 1e-12
    between = float(np.sum(power[others])) / (float(np.sum(power[among])) + 1e-12)
    found = sum(1 for one in tones if peaks[one] > 100 * floor and peaks[one] > 1e-4 * max(peaks.values()))
    return Recognition(
        found, 10 * float(np.log10(between + 1e-12)), 20 * float(np.log10(np.max(np.abs(samples)) + 1e-9))
    )


def pulses(samples: NDArray[np.float64]) -> list[float]:
    """The seconds at which pulses begin."""
    window = 240  # 5 ms
    times = np.arange(len(samples)) / RATE
    turned = samples * np.exp(-2j * np.pi * PULSE_HERTZ * times)
    blocks = np.abs(turned[: len(turned) // window * window].reshape(-1, window).mean(axis=1))
    threshold = max(0.25 * float(np.max(blocks)), 1e-4) if len(blocks) else 1.0
    is_on = blocks > threshold
    begins = np.flatnonzero(is_on[1:] & ~is_on[:-1]) + 1
    return [float(index) * window / RATE for index in begins]
