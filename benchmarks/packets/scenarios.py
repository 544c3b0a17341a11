"""What `script/bench media` measures: forwarding, the mix, and whole rooms."""

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from benchmarks.packets import sound
from benchmarks.packets.figures import Figures
from benchmarks.packets.participant import Participant
from benchmarks.packets.rtp import payload_of
from benchmarks.packets.senders import SILENT, AudioSender, VideoSender
from benchmarks.packets.sound import Recognition
from benchmarks.packets.stage import Stage, stage

SPEAKING = 20
"""The level in -dBov of a participant who speaks."""
ROOM = 50
"""The most participants that a room may have."""
CAMERA_RATE = 57.0
"""Packets of a camera in a second: 500 kbit/s, at which the SDK caps it."""
SETTING_UP_RATE = 1.0
"""The same while participants subscribe to it."""
WATCHED = (1, 2, 4)
"""Cameras that each participant watches, before all."""
FORWARD_RATES = (20_000, 30_000, 40_000, 46_000, 53_000, 61_000, 70_000, 80_000, 92_000, 106_000, 122_000)
FORWARD_RATES_QUICK = (20_000, 30_000, 45_000)
MIX_STEPS = (10, 20, 30, 40, 50, 60, 70, 80)
STREAM_STEPS = (10, 20, 30, 40, 50)
STEPS_QUICK = (5, 15)
SPEAKER_OF = 5
"""One of so many participants speaks."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure, and which Janus (None: the one that Portico finds)."""

    secs: float
    is_quick: bool
    janus: str | None


async def forward(options: Options) -> AsyncIterator[Figures]:
    """Four publishers and 40 viewers without a mix; more packets at each step, until some are lost. One core."""
    async with stage(pinned=True, janus=options.janus) as made:
        room = await made.room()
        publishers = await made.join(room, [f"publisher {number}" for number in range(4)])
        viewers = await made.join(room, [f"viewer {number}" for number in range(40)])
        silence = sound.silence()
        cameras = await made.all(one.publish(silence, SILENT, CAMERA_RATE) for one in publishers)
        await made.all(viewer.subscribe(one.feed) for viewer in viewers for one in publishers)
        for rate in FORWARD_RATES_QUICK if options.is_quick else FORWARD_RATES:
            for camera in cameras:
                camera.rate = rate / len(viewers) / len(publishers) - 50  # its sound has 50
            figures = await made.measure_fairly(options.secs)
            yield figures
            if not figures.is_good:
                return


async def mix(options: Options, rate: int) -> AsyncIterator[Figures]:
    """More participants in the mix at each step, until sound has gaps; every fifth one speaks. One core."""
    speaks, silence = sound.tone(440), sound.silence()
    async with stage(pinned=True, mix_rate=rate, janus=options.janus) as made:
        for target in STEPS_QUICK if options.is_quick else MIX_STEPS:
            count = len(made.participants)
            if count % ROOM == 0:
                room = await made.room()
            new = await made.join(room, [f"participant {number}" for number in range(count, target)])
            await made.all(
                one.enter_mix(*((speaks, SPEAKING) if number % SPEAKER_OF == 0 else (silence, SILENT)))
                for number, one in enumerate(new, count)
            )
            figures = await made.measure_fairly(options.secs)
            yield figures
            if not figures.is_good:
                return


async def streams(options: Options) -> AsyncIterator[Figures]:
    """The same without the mix: each participant receives the sound of each speaker as a stream of its own."""
    silence = sound.silence()
    async with stage(pinned=True, janus=options.janus) as made:
        room = await made.room()
        speakers: list[Participant] = []
        for target in STEPS_QUICK if options.is_quick else STREAM_STEPS:
            count = len(made.participants)
            before = list(made.participants)
            new = await made.join(room, [f"participant {number}" for number in range(count, target)])
            speaking = [one for number, one in enumerate(new, count) if number % SPEAKER_OF == 0]
            await made.all(one.publish(silence, SILENT, 1) for one in speaking)
            pairs = [(one, speaker) for one in new for speaker in [*speakers, *speaking] if one is not speaker]
            pairs += [(one, speaker) for one in before for speaker in speaking]
            await made.all(one.subscribe(speaker.feed, video=False) for one, speaker in pairs)
            speakers += speaking
            figures = await made.measure_fairly(options.secs)
            yield figures
            if not figures.is_good:
                return


@dataclass(frozen=True)
class RoomFigures:
    """Of one stretch of whole rooms, and what one listener of the first room received."""

    name: str
    figures: Figures
    recognition: Recognition
    tones: int
    mix_delay: float | None
    """Seconds from a speaker's packet to that of the listener with its sound; None where it was not found."""


@dataclass(frozen=True)
class _Room:
    present: list[Participant]
    publishers: list[Participant]
    senders: list[AudioSender]


async def rooms(options: Options, joined: int, publishing: int) -> AsyncIterator[RoomFigures]:
    """So many participants in the mix, room by room of up to 50, on all cores; then more and more cameras are watched.

    All who publish speak at the same time, each with a tone of its own. Ends after a stretch that was not good, because
    more cameras would only be worse; all rooms are measured in any case.
    """
    async with stage(pinned=False, janus=options.janus) as made:
        count = math.ceil(joined / ROOM)
        filled: list[_Room] = []
        for index in range(count):
            filled.append(await _fill(made, _share(joined, count, index), _share(publishing, count, index)))
            people, speakers = sum(len(room.present) for room in filled), sum(len(room.senders) for room in filled)
            last = await _listen(made, options, f"{people} joined, {speakers} publishing, mix only", filled[0])
            yield last
        if not last.figures.is_good:
            return
        cameras = await _publish(made, filled)
        most = max(len(room.publishers) for room in filled)
        watched = 0
        for target in [*(number for number in WATCHED if number < most), most]:
            await _watch(made, cameras, filled, range(watched, target))
            watched = target
            what = "all watched" if target == most else f"each watches {target}"
            last = await _listen(made, options, f"{joined} joined, {publishing} publishing, {what}", filled[0])
            yield last
            if not last.figures.is_good:
                return


def _share(total: int, parts: int, index: int) -> int:
    """The part of a number that falls to this one of equal parts."""
    return total // parts + (1 if index < total % parts else 0)


async def _fill(made: Stage, people: int, speaking: int) -> _Room:
    """A room in whose mix all are; the first so many speak, each with a tone, the very first with pulses too."""
    present = await made.join(await made.room(), [f"participant {number}" for number in range(people)])
    silence = sound.silence()
    tones = [sound.tone(sound.tone_hertz(number), pulse=number == 0) for number in range(speaking)]
    senders = await made.all(
        one.enter_mix(*((tones[number], SPEAKING) if number < speaking else (silence, SILENT)))
        for number, one in enumerate(present)
    )
    return _Room(present, present[:speaking], senders[:speaking])


async def _publish(made: Stage, filled: Sequence[_Room]) -> list[VideoSender]:
    silence = sound.silence()
    return await made.all(one.publish(silence, SPEAKING, SETTING_UP_RATE) for room in filled for one in room.publishers)


async def _watch(made: Stage, cameras: Sequence[VideoSender], filled: Sequence[_Room], ranks: range) -> None:
    """Each participant subscribes to the cameras of these ranks, counted from its own place in the room.

    The cameras send little meanwhile: a machine that is at its limit answers ICE checks too late, and then the set-up
    fails and not the call.
    """
    for camera in cameras:
        camera.rate = SETTING_UP_RATE
    pairs = [
        (one, room.publishers[(place + 1 + rank) % len(room.publishers)])
        for room in filled
        for place, one in enumerate(room.present)
        for rank in ranks
    ]
    await made.all(
        one.subscribe(publisher.feed, audio=False)
        for one, publisher in pairs
        if publisher.feed and one is not publisher
    )
    for camera in cameras:
        camera.rate = CAMERA_RATE


async def _listen(made: Stage, options: Options, name: str, room: _Room) -> RoomFigures:
    speaker, listener, speaking = room.senders[0], room.present[-1], len(room.senders)
    assert listener.mix is not None and listener.mix_path is not None
    listener.mix.kept = []
    speaker.begun_at.clear()
    figures = await made.measure(options.secs, settle_secs=2.0)
    kept, listener.mix.kept = listener.mix.kept, None
    samples = sound.decode([payload_of(listener.mix_path.unprotect(packet)) for _, packet in kept])
    arrivals = [arrival for arrival, _ in kept]
    tones = [sound.tone_hertz(number) for number in range(speaking)]
    # The first second has the volumes that follow who speaks.
    found = sound.recognise(samples[sound.RATE :], tones)
    return RoomFigures(name, figures, found, speaking, _mix_delay(speaker.begun_at, arrivals, sound.pulses(samples)))


def _mix_delay(sent: Sequence[float], arrivals: Sequence[float], pulses: Sequence[float]) -> float | None:
    """The median seconds from the begin of each pulse to the arrival of the packet that has it."""
    delays = []
    for second in pulses:
        arrival = arrivals[min(int(second / 0.02), len(arrivals) - 1)]
        before = [begun for begun in sent if begun <= arrival]
        if before:
            delays.append(arrival - before[-1])
    return sorted(delays)[len(delays) // 2] if delays else None
