"""The tones of simulated participants: encodes them once, and finds them in received audio."""

import math
from array import array

from portico.client import AudioFrame, EncodedFrame, Packets
from portico.client.coding import OpusEncoder

SAMPLES, RATE = 960, 48_000
FIRST_HERTZ, STEP_HERTZ, COUNT = 300, 100, 50
"""Frequencies with a whole number of waves in 20 ms, so that the check for one does not find another."""
AMPLITUDE = 0.25
THERE = 0.002
"""The least amplitude (of 1) of a tone that counts as present; the mix lowers each of many speakers."""
_LOOP_FRAMES = 50


def hertz_of(number: int) -> int:
    """The frequency of the participant with this number."""
    return FIRST_HERTZ + STEP_HERTZ * (number % COUNT)


def tone(number: int) -> Packets:
    """The audio source of a participant: its tone, encoded in advance."""
    turn = 2 * math.pi * hertz_of(number) / RATE
    pcm = array("h", (round(AMPLITUDE * 32767 * math.sin(turn * at)) for at in range(SAMPLES))).tobytes()
    encoder = OpusEncoder()
    made = [encoder.encode(AudioFrame(pcm, index * 0.02)) for index in range(2 * _LOOP_FRAMES)]
    # The second half: the encoder knows the tone by then, as it does when the loop begins again.
    frames = [frame for frame in made if frame is not None][-_LOOP_FRAMES:]
    return Packets([EncodedFrame(frame.data, index * 0.02, "opus") for index, frame in enumerate(frames)])


def is_there(frame: AudioFrame, number: int) -> bool:
    """Whether an audio frame contains the tone of the participant with this number."""
    turn = 2 * math.pi * hertz_of(number) / RATE
    factor, one, two = 2 * math.cos(turn), 0.0, 0.0
    for sample in frame.samples:  # Goertzel's algorithm
        one, two = sample + factor * one - two, one
    power = one * one + two * two - factor * one * two
    return 2 * math.sqrt(max(power, 0.0)) / SAMPLES / 32768 > THERE
