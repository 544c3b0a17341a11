"""Opus packets without gaps: each at its time, silence where one is missing; and which packets are valid."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.converter import opus
from portico.converter.audio_line import LOUD_MS, QUIET_MS, AudioLine, Piece
from tests.converter.mjr_files import ffmpeg, ogg_packets, opus_units

LOUD, QUIET = b"\x78" + bytes(60), b"\x78" + bytes(10)  # 20 ms each


def placed(packets: Sequence[tuple[float, int, bytes]]) -> list[Piece]:
    line = AudioLine()
    pieces = [piece for time_ms, ticks, packet in packets for piece in line.put(time_ms, ticks, packet)]
    ends = [0, *itertools.accumulate(piece.samples for piece in pieces)]
    assert [piece.at for piece in pieces] == ends[:-1], "a line has no holes"
    assert line.end == ends[-1]
    return pieces


def errors_ms(packets: Sequence[tuple[float, int, bytes]]) -> list[float]:
    """How far each packet that was kept is from its time; packets must be distinct objects."""
    times = {id(packet): time_ms for time_ms, _, packet in packets}
    return [piece.at / 48 - times[id(piece.packet)] for piece in placed(packets) if id(piece.packet) in times]


def steady(count: int, rate: float, packet: bytes = LOUD) -> list[tuple[float, int, bytes]]:
    """Packets without a gap from a clock that runs at this rate."""
    return [(20 * number / rate, 960 * number, bytes(bytearray(packet))) for number in range(count)]


def test_packets_in_time_stay_as_they_are() -> None:
    assert [piece.packet for piece in placed(steady(500, 1.0))] == [LOUD] * 500


def test_a_gap_is_silence_of_the_same_length() -> None:
    pieces = placed([(0, 0, LOUD), (20, 960, LOUD), (445, 21_360, LOUD)])
    assert pieces[-1].at == 21_360
    assert [opus.samples_of(piece.packet) for piece in pieces] == [piece.samples for piece in pieces]


@pytest.mark.parametrize("rate", [1.0003, 0.9997, 1.003, 0.997])
def test_drift_is_mended_before_it_can_be_noticed(rate: float) -> None:
    found = errors_ms(steady(30_000, rate))
    assert max(map(abs, found)) <= LOUD_MS + 1
    assert len(found) >= 30_000 * (0.9995 if abs(rate - 1) < 0.001 else 0.996)


@pytest.mark.parametrize("rate", [1.0003, 0.9997])
def test_drift_is_mended_where_it_is_quiet_if_it_is_quiet_in_time(rate: float) -> None:
    packets = [
        (time_ms, ticks, bytes(bytearray(QUIET)) if number % 100 < 10 else packet)
        for number, (time_ms, ticks, packet) in enumerate(steady(30_000, rate))
    ]
    found = errors_ms(packets)
    assert max(map(abs, found)) <= QUIET_MS + 3
    kept = [piece.packet for piece in placed(packets)]
    assert kept.count(LOUD) == sum(packet == LOUD for _, _, packet in packets)


def test_a_jump_back_drops_what_overlaps() -> None:
    packets = [*steady(100, 1.0), *((1600 + 20 * n, 96_000 + 960 * n, bytes(bytearray(LOUD))) for n in range(100))]
    found = errors_ms(packets)
    assert max(map(abs, found)) <= LOUD_MS
    assert len(found) in {179, 180, 181}


@given(
    st.lists(st.tuples(st.integers(-5000, 5000), st.integers(-(1 << 35), 1 << 35), st.binary(max_size=20)), max_size=50)
)
def test_arbitrary_packets_make_a_line_that_is_no_longer_than_their_time(
    given_: list[tuple[int, int, bytes]],
) -> None:
    pieces = placed([(float(time), ticks, packet) for time, ticks, packet in given_])
    assert all(piece.samples == opus.samples_of(piece.packet) > 0 for piece in pieces)
    assert sum(piece.samples for piece in pieces) <= (10_000 + 120 + LOUD_MS) * 48


@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("application", ["voip", "audio"])
def test_the_length_of_what_an_encoder_makes_is_known(frame_ms: float, application: str) -> None:
    command = ["-f", "lavfi", "-i", "sine=d=2", "-c:a", "libopus", "-application", application]
    packets = ogg_packets(ffmpeg([*command, "-frame_duration", str(frame_ms), "-f", "ogg", "-"]))[2:]
    assert {opus.samples_of(packet) for packet in packets} == {int(frame_ms * 48)}


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xf9abc",  # two frames of equal size in three bytes
        b"\xfa",  # two frames, no length
        b"\xfa\x05abc",
        b"\xfa\xfc",
        b"\xfb",
        b"\xfb\x00ab",  # no frames at all
        b"\xfb\x07" + bytes(7),  # 140 ms
        b"\xfb\x02abc",
        b"\xfb\x82\x09ab",
        b"\xfb\x41\xff",
        b"\xfb\x41\x09a",
        b"\xf8" + bytes(1276),
    ],
)
def test_what_a_decoder_would_refuse_has_no_length(packet: bytes) -> None:
    assert opus.samples_of(packet) == 0


def test_padding_and_lengths_of_two_bytes_are_understood() -> None:
    assert opus.samples_of(b"\xfb\x41\x02a\x00\x00") == 960
    assert opus.samples_of(b"\xfb\x41\xff\x00a" + bytes(254)) == 960
    assert opus.samples_of(b"\xfb\x82\xfc\x00" + bytes(252) + b"b") == 1920


@given(st.integers(1, 4000), st.booleans())
def test_silence_has_exactly_its_length(units: int, stereo: bool) -> None:
    packets = list(opus.silence(units * opus.SHORTEST, stereo=stereo))
    assert sum(map(opus.samples_of, packets)) == units * opus.SHORTEST
    assert all(opus.is_stereo(packet) == stereo for packet in packets)
    assert len(packets) <= units * opus.SHORTEST // 5760 + 5


def test_units_of_the_tests_begin_with_sound() -> None:
    assert np.mean([len(unit.payloads[0]) for unit in opus_units(1000)]) > 20
