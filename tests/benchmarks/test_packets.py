"""The packets of `script/bench media`: what is counted is what was lost and late, and what is sent is recognised."""

import numpy as np
import pytest

from benchmarks.packets import rtp, sdp, sound
from benchmarks.packets.rtp import Received
from benchmarks.packets.scenarios import CAMERA_RATE, SPEAKING
from benchmarks.packets.sdp import Local, Medium
from benchmarks.packets.senders import SILENT
from benchmarks.packets.stage import stage

LOCAL = Local("user", "secret", "AA:BB", ("127.0.0.9", 4444))


def test_lost_packets_are_counted_over_a_wrap() -> None:
    stream = Received(1, 90000)
    for sequence in (65533, 65534, 0, 1, 3):
        stream.take(sequence & 0xFFFF, 0, 100, 1.0)
    assert (stream.count, stream.lost, stream.size) == (5, 2, 500)
    stream.take(2, 0, 100, 1.0)  # late, not lost
    assert stream.lost == 1
    stream.begin()
    assert (stream.count, stream.lost, stream.highest) == (0, 0, 0)


def test_late_sound_is_what_is_later_than_the_earliest() -> None:
    stream = Received(1, 48000)
    for index, delay in enumerate((0.0, 0.059, 0.061, 0.0, 2.0)):
        stream.take(index, index * 960, 100, 7.0 + index * 0.02 + delay)
    assert stream.late == 2


@pytest.mark.parametrize("now", [1, 2**62])
def test_video_says_when_it_was_sent(now: int) -> None:
    packet = rtp.video_packet(70000, 2**33, 5, marker=True, payload=rtp.video_payload(now, b"x" * 50))
    assert rtp.sent_ns(packet) == now
    extended = bytes([packet[0] | 16]) + packet[1:12] + b"\xbe\xde\x00\x01\x10\xff\x00\x00" + packet[12:]
    assert rtp.sent_ns(extended) == now
    assert rtp.sent_ns(packet[:12] + b"\x00" * 20) == 0


def test_payload_of_sound() -> None:
    assert rtp.payload_of(rtp.audio_packet(1, 2, 3, 20, b"opus")) == b"opus"


def test_descriptions() -> None:
    text = sdp.description(LOCAL, [Medium("audio", "sendonly", 7), Medium("video", "sendonly", 8)], "actpass")
    read = sdp.read(text)
    assert (read.user, read.password, read.addresses) == ("user", "secret", (("127.0.0.9", 4444),))
    assert (read.kinds, read.mids, read.ssrcs, read.is_dtls_client) == (("audio", "video"), ("0", "1"), (7, 8), False)
    answer = sdp.read(sdp.description(LOCAL, [Medium("video", "recvonly")], "active", ["v"]))
    assert (answer.mids, answer.ssrcs, answer.is_dtls_client) == (("v",), (0,), True)


def test_tones_are_recognised_among_others() -> None:
    tones = [sound.tone_hertz(number) for number in range(3)]
    packets = [sound.tone(one) for one in tones[:2]]
    samples = sound.decode(packets[0]) + sound.decode(packets[1])
    found = sound.recognise(samples[sound.RATE :], tones)
    assert found.tones == 2
    assert found.noise_db < -15
    wrapped = (samples * 6 + 1) % 2 - 1  # what the AudioBridge makes of too loud a sum
    assert sound.recognise(wrapped[sound.RATE :], tones).noise_db > -10


def test_pulses_are_found() -> None:
    begins = sound.pulses(sound.decode(sound.tone(440, pulse=True)))
    assert len(begins) >= sound.LOOP_SECS - 1
    assert np.diff(begins) == pytest.approx(1.0, abs=0.03)


async def test_packets_pass_through_the_gateway_and_janus(portico: object) -> None:
    """Two participants: one speaks and shows, the other receives the mix, and the stream with its sound."""
    async with stage(pinned=False) as made:
        room = await made.room()
        speaker, listener = await made.join(room, ["speaker", "listener"])
        await speaker.enter_mix(sound.tone(440), SPEAKING)
        await listener.enter_mix(sound.silence(), SILENT)
        await speaker.publish(sound.silence(), SILENT, CAMERA_RATE)
        await listener.subscribe(speaker.feed)
        assert listener.mix is not None and listener.mix_path is not None
        listener.mix.kept = []
        figures = await made.measure(1.5, settle_secs=0.5)
        samples = sound.decode([rtp.payload_of(listener.mix_path.unprotect(data)) for _, data in listener.mix.kept])
        ((audio,), (video,)) = listener.audio, listener.video
        counts = [stream.count for stream in (speaker.mix, listener.mix, audio, video) if stream is not None]
    assert not made.failed
    assert figures.streams == 4 and min(counts) > 50
    assert figures.received == sum(counts)
    assert figures.delay_p50 is not None and 0 < figures.delay_p50 < 2
    assert sound.recognise(samples[sound.RATE // 2 :], [440, 1000]).tones == 1
