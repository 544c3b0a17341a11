"""Frames from payloads: those of an encoder are restored; anything else is None, and raises nothing."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.converter import h264
from portico.converter.depacketize import BY_CODEC, vp8, vp9
from portico.converter.sequence import Sent, Tally, in_order
from portico.converter.video_frames import MOST_PACKETS, VideoFrame, frames
from tests.converter.mjr_files import Encoded, Unit, encode, encode_from, video_units

CODECS = ["vp8", "vp9", "h264"]


@pytest.fixture(scope="module", params=CODECS)
def encoded(request: pytest.FixtureRequest) -> Encoded:
    """Forty pictures, a keyframe every ten."""
    return encode(request.param, range(40), keyframe_every=10)


def sent(units: list[Unit]) -> list[Sent]:
    found: list[Sent] = []
    for unit in units:
        for of, payload in enumerate(unit.payloads):
            marker = of == len(unit.payloads) - 1
            found.append(Sent(len(found), unit.ticks, int(unit.true_ms), marker, payload))
    return found


def numbers(found: list[VideoFrame]) -> list[int]:
    return [round(frame.ticks / 3000) for frame in found]


def units_of(encoded: Encoded) -> list[Unit]:
    return video_units(encoded, [number * 100 / 3 for number in range(40)], mtu=30)


def test_every_frame_comes_back_byte_for_byte(encoded: Encoded) -> None:
    found = list(frames(sent(units_of(encoded)), encoded.codec))
    assert numbers(found) == list(range(40))
    assert [number for number, frame in zip(numbers(found), found, strict=True) if frame.picture.keyframe] == [
        0,
        10,
        20,
        30,
    ]
    if encoded.codec != "h264":  # where the form changes: units after their length, not after a start code
        assert [frame.picture.frame for frame in found] == list(encoded.frames)
    assert not any(frame.damaged for frame in found)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(224, 64), (226, 66), (640, 480), (180, 180), (1280, 720)])
def test_a_keyframe_has_its_size(codec: str, size: tuple[int, int]) -> None:
    made = encode_from(codec, ["-f", "lavfi", "-i", f"testsrc2=s={size[0]}x{size[1]}:d=0.1"], keyframe_every=10)
    unit = video_units(made, [0.0])[0]
    picture = BY_CODEC[codec](unit.payloads)
    assert picture is not None and picture.keyframe and (picture.width, picture.height) == size


def test_the_size_of_a_high_profile_is_read_past_its_colours() -> None:
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=322x242:d=0.1", "-c:v", "libx264"]
    command += ["-pix_fmt", "yuv444p", "-profile:v", "high444", "-x264-params", "cqm=jvt", "-f", "h264", "-"]
    stream = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    sps = next(unit for unit in stream.split(b"\x00\x00\x00\x01") if unit and unit[0] & 31 == h264.SPS)
    assert h264.size_of(sps) == (322, 242)


def test_a_missing_packet_costs_its_frame_and_damages_those_after_it_until_a_keyframe(encoded: Encoded) -> None:
    units = units_of(encoded)
    whole = sent(units)
    victim = next(at for at, packet in enumerate(whole) if round(packet.ticks / 3000) == 13)
    for lost in range(victim, victim + len(units[13].payloads)):
        found = list(frames(whole[:lost] + whole[lost + 1 :], encoded.codec))
        assert set(numbers(found)) >= set(range(40)) - {13}
        assert len(units[13].payloads) == 1 or 13 not in numbers(found) or encoded.codec == "h264"
        damaged = [number for number, frame in zip(numbers(found), found, strict=True) if frame.damaged]
        assert set(damaged) - {13} == set(range(14, 20))


def test_padding_between_frames_is_no_loss(encoded: Encoded) -> None:
    packets = sent(units_of(encoded))
    padded: list[Sent] = []
    for packet in packets:
        padded.append(packet._replace(seq=len(padded)))
        if packet.marker:
            padded.append(Sent(len(padded), packet.ticks, packet.arrived_ms, False, b""))
    assert not any(frame.damaged for frame in frames(padded, encoded.codec))
    assert numbers(list(frames(padded, encoded.codec))) == list(range(40))


def test_a_last_frame_whose_end_is_missing_is_dropped(encoded: Encoded) -> None:
    units = units_of(encoded)
    packets = sent([*units[:5], units[10]])
    assert len(units[10].payloads) > 1
    assert numbers(list(frames(packets[:-1], encoded.codec))) == list(range(5))


def test_a_frame_of_endless_packets_is_not_gathered() -> None:
    endless = [Sent(number, 0, 0, False, b"\x10\x00") for number in range(MOST_PACKETS + 10)]
    last = Sent(MOST_PACKETS + 10, 1, 0, True, b"\x10\x01ab")
    assert [frame.ticks for frame in frames([*endless, last], "vp8")] == [1]


@pytest.mark.parametrize("codec", CODECS)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 5), st.booleans(), st.binary(max_size=40)), min_size=1, max_size=40
    )
)
def test_arbitrary_packets_do_no_harm(codec: str, given_: list[tuple[int, int, bool, bytes]]) -> None:
    packets = [Sent(seq, ticks, at, marker, payload) for at, (seq, ticks, marker, payload) in enumerate(given_)]
    for frame in frames(in_order(packets, Tally()), codec):
        assert frame.picture.frame
        assert not frame.picture.keyframe or (frame.picture.width > 0 and frame.picture.height > 0)


@pytest.mark.parametrize("codec", CODECS)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_arbitrary_payloads_do_no_harm(codec: str, payloads: list[bytes]) -> None:
    picture = BY_CODEC[codec](payloads)
    assert picture is None or len(picture.frame) <= sum(map(len, payloads)) + 4 * sum(map(len, payloads))


@given(st.binary(max_size=300))
def test_arbitrary_parameter_sets_do_no_harm(sps: bytes) -> None:
    size = h264.size_of(sps)
    assert size is None or (0 < size[0] <= 16_384 and 0 < size[1] <= 16_384)


@given(st.binary(max_size=30))
def test_descriptors_that_are_cut_off_leave_no_frame(tail: bytes) -> None:
    assert vp8([b"\x90\xff"]) is None
    assert vp9([b"\xff" + tail[:1]]) is None
