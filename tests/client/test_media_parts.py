"""The parts between network and program: bounded queues, the order of packets, clocks, codecs, sources, pace."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from portico.client import (
    AudioFrame,
    EncodedFrame,
    FilePlayer,
    LiveAudio,
    Packets,
    Picture,
    Published,
    SourceFailed,
    Tone,
)
from portico.client.coding import OpusDecoder, OpusEncoder, VideoDecoder, Vp8Encoder
from portico.client.dialect import Dialect
from portico.client.event_feed import WAITING_MAX, EventFeed
from portico.client.outgoing import FILL_SECS, OutgoingTrack
from portico.client.packets import HELD_MAX, PICTURE_WAIT_SECS, PictureBuffer, Reorder, begins_picture, is_keyframe
from portico.client.participant import Participant, Stream
from portico.client.publishing import Publication, Pump
from portico.client.queues import DroppingQueue
from portico.client.receiving import Continued, MediaClock
from tests.gateway.media_peer import level


async def take(frames: AsyncIterator[Any], count: int) -> list[Any]:
    return [await anext(frames) for _ in range(count)]


async def test_a_full_queue_drops_the_oldest_and_never_grows() -> None:
    queue: DroppingQueue[int] = DroppingQueue(3)
    assert [queue.put(number) for number in range(5)] == [True, True, True, False, False]
    assert (len(queue), queue.dropped) == (3, 2)
    queue.close()
    queue.put(9)
    assert [await queue.get() for _ in range(4)] == [2, 3, 4, None]


async def test_events_wait_for_a_slow_reader_in_a_bounded_number_and_later_readers_begin_with_who_is_there() -> None:
    anna = Participant("a", streams={"self": (stream := Stream("s", "self", 7))})
    dialect = Dialect(Participant("me"))
    dialect.participants["a"] = anna
    feed = EventFeed()
    for _ in range(WAITING_MAX + 10):
        feed.put(Published(anna, stream))
    first, second = feed.events(dialect), feed.events(dialect)
    feed.close()
    assert len([event async for event in first]) == WAITING_MAX
    assert [event.kind async for event in second] == ["joined", "published"]


def test_packets_are_put_into_order_and_a_lost_one_is_waited_for_briefly() -> None:
    reorder = Reorder()
    arrivals = [65534, 65535, 1, 0, 2, 2, 1, 4, 5, 6, 7, 8]
    ready = [reorder.add(number, number) for number in arrivals]
    assert ready == [[65534], [65535], [], [0, 1], [2], [], [], [], [], [], [4, 5, 6, 7], [8]]
    assert reorder.add(30000, 30000) == [30000]


def packet(number: int, picture: int, *, first: bool = False, last: bool = False, data: bytes = b"x") -> Any:
    return SimpleNamespace(
        sequence_number=number & 0xFFFF, timestamp=picture, marker=last, first=first, _data=data and b"%d " % number
    )


def pictures_of(packets: list[Any], *, every: float = 0.01) -> list[tuple[bytes, int, bool]]:
    buffer = PictureBuffer(lambda one: one.first)
    return [picture for at, one in enumerate(packets) for picture in buffer.add(one, at * every)]


def test_packets_of_video_become_pictures_as_soon_as_they_are_complete() -> None:
    """The rest of a picture that began before, disorder over the wrap of the numbers, padding, one without a marker."""
    packets = [
        packet(65533, 0, last=True),
        packet(65534, 1, first=True),
        packet(65536, 1, last=True),
        packet(65535, 1),
        packet(65537, 1, data=b""),
        packet(65538, 2, first=True),
        packet(65539, 3, first=True, last=True),
        packet(65539, 3, first=True, last=True),
    ]
    pictures = pictures_of(packets)
    assert pictures == [(b"65534 65535 65536 ", 1, False), (b"65538 ", 2, False), (b"65539 ", 3, False)]


def test_a_picture_that_lacks_a_packet_is_given_up_after_a_while_and_the_next_says_so() -> None:
    """Also when the missing packet was waited for in vain, and when the numbers jump."""
    lossy = [packet(0, 0, first=True), packet(2, 0, last=True), packet(3, 1, first=True, last=True)]
    late = packet(4, 2, first=True, last=True)
    assert pictures_of([*lossy, late]) == []
    patient = pictures_of([*lossy, late], every=PICTURE_WAIT_SECS / 1.9)
    assert patient == [(b"3 ", 1, True), (b"4 ", 2, False)]
    many = [packet(number, number, first=True, last=True) for number in range(2, HELD_MAX + 3)]
    assert len(pictures_of([packet(0, 0, first=True), *many], every=0.0)) == HELD_MAX + 1
    jump = [packet(0, 0, first=True, last=True), packet(20000, 1, first=True, last=True)]
    assert [gap for *_, gap in pictures_of(jump)] == [False, True]


def test_the_first_packet_of_a_picture_is_recognised() -> None:
    assert begins_picture("vp8", b"\x90\x80..") and not begins_picture("vp8", b"\x80\x80..")
    assert begins_picture("h264", b"\x67..") and begins_picture("h264", b"\x7c\x85..")
    assert not begins_picture("h264", b"\x7c\x05..")


def test_the_clock_of_rtp_goes_on_over_its_wrap() -> None:
    clock = MediaClock(48_000)
    stamps = [2**32 - 960, 0, 960, 0, 960 + 4800]
    assert [round(clock.seconds(stamp), 3) for stamp in stamps] == [0.0, 0.02, 0.04, 0.02, 0.14]


def test_a_reader_has_one_clock_over_successive_tracks() -> None:
    clock = Continued()
    clock.begin()
    first = [clock.moved(EncodedFrame(b"", at, "opus", arrived=10 + at)).time for at in (0.0, 0.02)]
    clock.begin()
    second = [clock.moved(EncodedFrame(b"", at, "opus", arrived=13.02 + at)).time for at in (0.0, 0.02)]
    assert first + second == pytest.approx([0.0, 0.02, 3.02, 3.04])


async def test_sound_and_pictures_survive_their_codecs() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    sounds = await take(Tone(440, 0.5).audio_frames(), 50)
    decoded = [frame for sound in sounds if (packet := encoder.encode(sound)) for frame in decoder.decode(packet)]
    assert len(decoded) >= 49
    assert all(len(frame.samples) == 960 for frame in decoded)
    samples = np.frombuffer(b"".join(frame.pcm for frame in decoded[10:]), "<i2") / 32768
    assert level(samples, 440) == pytest.approx(-6, abs=1)
    with pytest.raises(SourceFailed):
        encoder.encode(AudioFrame(b"short", 0.0))
    assert decoder.decode(EncodedFrame(b"", 0.0, "opus")) == []

    vp8, back = Vp8Encoder(), VideoDecoder()
    pictures = await take(Picture(64, 48, 10).video_frames(), 3)
    packets = [packet for picture in pictures if (packet := vp8.encode(picture))]
    assert [packet.keyframe for packet in packets] == [True, False, False]
    assert [is_keyframe("vp8", packet.data) for packet in packets] == [True, False, False]
    assert back.decode(packets[1]) == [], "it waits for a whole picture"
    seen = [(one.width, one.height, one.time) for packet in packets for one in back.decode(packet)]
    assert seen == [(64, 48, 0.0), (64, 48, 0.1), (64, 48, 0.2)]
    vp8.request_keyframe()
    packet = vp8.encode(pictures[0])
    assert packet is not None
    assert packet.keyframe


async def test_after_a_gap_pictures_are_decoded_from_the_next_whole_one_on() -> None:
    encoder, decoder = Vp8Encoder(), VideoDecoder()
    encoded = []
    for number, drawn in enumerate(await take(Picture(64, 48, 10).video_frames(), 6)):
        if number == 4:
            encoder.request_keyframe()
        frame = encoder.encode(drawn)
        assert frame is not None
        encoded.append(replace(frame, gap=number == 2))
    assert [len(decoder.decode(frame)) for frame in encoded] == [1, 1, 0, 0, 1, 1]


def test_a_whole_picture_of_h264_is_recognised() -> None:
    assert is_keyframe("h264", b"\0\0\0\1\x67..\0\0\0\1\x65..")
    assert not is_keyframe("h264", b"\0\0\0\1\x41..")


async def test_files_are_played_as_sound_and_pictures_and_again(tmp_path: Path) -> None:
    path = tmp_path / "both.mkv"
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("flac", rate=44_100, layout="stereo")
        picture: Any = container.add_stream("ffv1", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            tone = (np.sin(2 * np.pi * 440 * (np.arange(4410) + number * 4410) / 44_100) * 16000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None, :], format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 44_100, number * 4410
            container.mux(sound.encode(frame))
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    sounds = [frame async for frame in FilePlayer(path).audio_frames()]
    assert len(sounds) == 25
    assert level(np.frombuffer(b"".join(one.pcm for one in sounds[2:-2]), "<i2") / 32768, 440) > -8
    pictures = [frame async for frame in FilePlayer(path).video_frames()]
    assert [round(frame.time, 3) for frame in pictures] == [0.0, 0.1, 0.2, 0.3, 0.4]
    again = FilePlayer(path, loop=True).audio_frames()
    assert round((await take(again, 30))[-1].time, 2) == 0.58
    await again.aclose()  # type: ignore[attr-defined]
    for player in (FilePlayer(tmp_path / "none.ogg"), FilePlayer(Path(__file__))):
        with pytest.raises(SourceFailed):
            await anext(player.audio_frames())


async def test_live_sound_can_be_interrupted_and_waits_in_a_bounded_number() -> None:
    live = LiveAudio(secs=0.1)
    live.write(bytes(1920) * 20 + b"1")
    assert live.waiting == pytest.approx(0.1)
    live.clear()
    assert live.waiting == 0
    live.write(b"\1" * 1920)
    live.close()
    (frame,) = [frame async for frame in live.audio_frames()]
    assert frame.pcm == b"\1" * 1920


async def test_packets_repeat_with_a_clock_that_goes_on() -> None:
    frames = [EncodedFrame(b"k", 5.0, "vp8"), EncodedFrame(b"d", 5.1, "vp8", keyframe=False)]
    times = [round(frame.time, 3) for frame in await take(Packets(frames).video_frames(), 5)]
    assert times == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [frame.data async for frame in Packets(frames, loop=False).video_frames()] == [b"k", b"d"]
    with pytest.raises(SourceFailed):
        Packets([])


async def test_a_pump_keeps_the_pace_of_its_source_and_closes_it() -> None:
    closed = []

    async def source() -> AsyncIterator[EncodedFrame]:
        try:
            for number in range(5):
                yield EncodedFrame(b"x", number * 0.05, "vp8")
        finally:
            closed.append(True)

    class Track(OutgoingTrack):
        def __init__(self) -> None:
            super().__init__("video", 0.0)
            self.sent: list[tuple[float, float]] = []

        def send(self, frame: EncodedFrame, due: float) -> None:
            self.sent.append((due, asyncio.get_running_loop().time()))

    pump, track = Pump(source(), lambda frame: frame, "vp8"), Track()
    pump.outputs.add(track)
    await pump.run()
    dues = [due - track.sent[0][0] for due, _ in track.sent]
    assert dues == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2], abs=1e-6)
    assert all(at >= due - 0.002 for due, at in track.sent)
    assert closed == [True]


async def test_encoded_frames_of_another_codec_than_the_track_are_refused() -> None:
    async def source(codec: str) -> AsyncIterator[EncodedFrame]:
        yield EncodedFrame(b"x", 0.0, codec)

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(SourceFailed, match="video is vp8 or h264, not av1"):
            Publication("self", "id", None, source("av1"), executor, 1, "av1")
        for codec, audio, video in (("h264", None, source("h264")), ("vp8", source("vp8"), None)):
            publication = Publication("self", "id", audio, video, executor, 1)
            for pump in (publication.audio, publication.video):
                if pump is not None:
                    pump.outputs.add(OutgoingTrack("video", 0.0))
            publication.start()
            with pytest.raises(SourceFailed, match=f"a frame of {codec} is in a track of"):
                await publication.finished()


async def test_a_track_of_sound_without_frames_sends_silence_now_and_then() -> None:
    sound, pictures = OutgoingTrack("audio", 100.0), OutgoingTrack("video", 100.0)
    sound.fill(100.0)
    assert (await sound.recv()).pts == 0
    sound.send(EncodedFrame(b"x", 0.0, "opus"), 100.1)
    sound.fill(100.1 + FILL_SECS / 2)
    sound.fill(100.11 + FILL_SECS)
    pictures.fill(200.0)
    stamps = [(await sound.recv()).pts for _ in range(2)]
    assert stamps == [round(0.1 * 48_000), round((0.11 + FILL_SECS) * 48_000)]
    sound.stop()
    pictures.stop()
    with pytest.raises(MediaStreamError):
        await pictures.recv()
