"""The ffmpeg commands: cuts lie on frames, commands stay small, graphs have each tile in its cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.composer import commands, lettering, picture
from portico.composer.picture import Tile
from portico.composer.plan import (
    SEGMENT_FRAMES,
    AudioFile,
    CompositionPlan,
    VideoFile,
    picture_segments,
    sound_segments,
    sum_groups,
)
from portico.core.layout import Placement

T0 = 1_700_000_000_000
FIVE_MINUTES = 300_000


def placed(name: str, from_ms: int, until_ms: int, x: int = 0, z: int = 0, **more: object) -> Placement:
    return Placement(name, from_ms, until_ms, x, 0, 320, 360, z, placeholder=bool(more.get("placeholder")))


def a_composition(
    *placements: Placement, duration_ms: int = 10_000, audios: int = 0, name: str = "Ann"
) -> CompositionPlan:
    ids = dict.fromkeys(placement.recording_id for placement in placements)
    videos = tuple(VideoFile(each, f"/recordings/{each}.webm", T0, name) for each in ids)
    sounds = tuple(AudioFile(f"a{n}", f"/recordings/{n}.ogg", T0, T0 + duration_ms) for n in range(audios))
    return CompositionPlan(640, 360, T0, duration_ms, placements, videos, sounds)


def cuts(plan: CompositionPlan) -> list[tuple[int, int, list[str]]]:
    return [
        (each.first_frame, each.frames, sorted(tile.recording_id for tile in each.tiles))
        for each in picture_segments(plan)
    ]


def test_the_composition_is_cut_where_participants_join_or_leave() -> None:
    assert cuts(a_composition(placed("a", 0, 10_000), placed("b", 2_000, 4_000, 320))) == [
        (0, 50, ["a"]),
        (50, 50, ["a", "b"]),
        (100, 150, ["a"]),
    ]


def test_who_comes_between_two_frames_is_in_the_next_one() -> None:
    assert cuts(a_composition(placed("a", 1, 41), duration_ms=120)) == [(0, 1, []), (1, 1, ["a"]), (2, 1, [])]
    assert cuts(a_composition(placed("a", 1, 39), duration_ms=120)) == [(0, 1, []), (1, 2, [])]


def test_a_long_composition_is_cut_every_five_minutes() -> None:
    plan = a_composition(placed("a", 0, 2 * FIVE_MINUTES + 40), duration_ms=2 * FIVE_MINUTES + 40)
    assert [each.frames for each in picture_segments(plan)] == [7500, 7500, 1]
    assert [each.frames for each in sound_segments(plan)] == [7500, 7500, 1]


@pytest.mark.parametrize(("duration_ms", "frames"), [(0, 1), (19, 1), (40, 1), (59, 1), (60, 2), (10_019, 250)])
def test_the_frames_are_the_duration_rounded(duration_ms: int, frames: int) -> None:
    assert a_composition(duration_ms=duration_ms).frames == frames


@given(
    st.integers(0, 1_000_000),
    st.lists(st.tuples(st.integers(0, 1_000_000), st.integers(1, 300_000), st.integers(0, 3)), max_size=20),
)
def test_segments_have_each_frame_once_and_show_what_is_placed(
    duration_ms: int, spans: list[tuple[int, int, int]]
) -> None:
    placements = [placed(f"s{n}", begin, begin + length, z=z) for n, (begin, length, z) in enumerate(spans)]
    plan = a_composition(*placements, duration_ms=duration_ms)
    at = 0
    for segment in picture_segments(plan):
        assert segment.first_frame == at and 0 < segment.frames <= SEGMENT_FRAMES
        at += segment.frames
        for frame in (segment.first_frame, at - 1):
            here = [each for each in placements if each.from_ms <= frame * 40 < each.until_ms]
            top = max((each.z for each in here), default=0)
            # All have one cell here: the highest covers the others.
            assert {tile.recording_id for tile in segment.tiles} <= {e.recording_id for e in here if e.z == top}
            assert bool(segment.tiles) == bool(here)
    assert at == plan.frames
    assert sum(each.samples for each in sound_segments(plan)) == plan.frames * 1920


def test_a_command_reads_only_what_is_seen_and_from_where_it_is_seen() -> None:
    plan = a_composition(placed("a", 0, 10_000), placed("b", 2_000, 4_000, 320))
    first, second, _ = picture_segments(plan)
    arguments = commands.picture_command(plan, second, threads=1, lettering=False)
    assert "file:/recordings/b.webm" not in commands.picture_command(plan, first, threads=1, lettering=False)
    assert arguments.count("-i") == 2
    assert [arguments[n + 1] for n, each in enumerate(arguments) if each == "-ss"] == ["2.000", "2.000"]
    assert arguments[arguments.index("-frames:v") + 1] == "50"


def test_a_recording_in_two_regions_is_read_once() -> None:
    plan = a_composition(placed("a", 0, 10_000), placed("a", 0, 10_000, 320, z=1))
    (segment,) = picture_segments(plan)
    arguments = commands.picture_command(plan, segment, threads=1, lettering=False)
    assert arguments.count("-i") == 1
    assert "split=2[s0][s1]" in arguments[arguments.index("-filter_complex") + 1]


def test_what_is_wholly_covered_is_not_drawn() -> None:
    below, above = placed("below", 0, 1, z=0), placed("above", 0, 1, z=1)
    assert [tile.recording_id for tile in picture.tiles([below, above], 640, 360)] == ["above"]
    assert [tile.recording_id for tile in picture.tiles([above, below], 640, 360)] == ["above"]


def test_tiles_stand_on_even_pixels_within_the_picture_and_vanishing_ones_are_not_drawn() -> None:
    odd = Placement("a", 0, 1, 213, 101, 214, 101, 0)
    edge = Placement("b", 0, 1, 427, 0, 214, 361, 0)
    speck = Placement("c", 0, 1, 10, 10, 1, 1, 0)
    assert set(picture.tiles([odd, edge, speck], 640, 360)) == {
        Tile("a", 212, 100, 214, 102),
        Tile("b", 426, 0, 214, 360),
    }


def test_tiles_apart_are_stacked_and_only_those_on_top_of_others_are_laid_over() -> None:
    apart = (Tile("a", 0, 0, 320, 360), Tile("b", 320, 0, 320, 360))
    over = Tile("c", 160, 0, 320, 100)
    graph = picture.graph(640, 360, (*apart, over), dict.fromkeys("abc", 250), {})
    assert "[t0][t1]xstack=inputs=2:layout=0_0|320_0" in graph
    assert graph.count("overlay=") == 1 and "[stack][t2]overlay=x=160:y=0" in graph
    assert "overlay" not in picture.graph(640, 360, apart, dict.fromkeys("ab", 250), {})


def test_fifty_people_for_two_hours_make_commands_of_bounded_size() -> None:
    hours = 2 * 3_600_000
    tiles = [Placement(f"{n:036}", n * 1000, hours, n % 8 * 80, n // 8 * 50, 80, 50, 0) for n in range(50)]
    plan = a_composition(*tiles, duration_ms=hours, audios=50)
    made = [commands.picture_command(plan, each, threads=2, lettering=False) for each in picture_segments(plan)]
    made += [commands.sound_command(plan, group) for each in sound_segments(plan) for group in sum_groups(each)]
    assert len(made) < 200
    assert max(command.count("-i") for command in made) == 50
    # Linux takes 128 KiB for one argument and at least as much for all.
    assert max(len("\0".join(command)) for command in made) < 64 * 1024


def test_many_voices_are_summed_in_groups() -> None:
    (segment,) = sound_segments(a_composition(audios=70))
    groups = sum_groups(segment)
    assert [len(each.audios) for each in groups] == [32, 32, 6]
    assert [audio for each in groups for audio in each.audios] == list(segment.audios)
    assert {each.samples for each in groups} == {segment.samples} == {480_000}
    assert sum_groups(sound_segments(a_composition())[0])[0].audios == ()


def test_only_voices_of_its_time_are_in_a_stretch() -> None:
    early = AudioFile("early", "/e.ogg", T0, T0 + FIVE_MINUTES)
    late = AudioFile("late", "/l.ogg", T0 + FIVE_MINUTES, T0 + FIVE_MINUTES + 5)
    plan = CompositionPlan(640, 360, T0, FIVE_MINUTES + 1000, (), (), (early, late))
    assert [each.audios for each in sound_segments(plan)] == [(early,), (late,)]


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ann", "Ann"),
        ("  Ann\n\tLee\x00 ", "Ann Lee"),
        ("\x1b[31mred\u202e\u200bdoc", "[31mred doc"),
        ("%{pts}':,[x];\\", "%{pts}':,[x];\\"),
        ("\n", ""),
        ("x" * 41, "x" * 39 + "…"),
        ("\ud800x", "x"),
    ],
)
def test_a_name_is_one_line_of_visible_letters(name: str, letters: str) -> None:
    assert lettering.letters(name) == letters


def test_no_letter_of_a_name_stands_in_a_command() -> None:
    hostile = "x':[a];movie=/etc/passwd,\\%{e:1}"
    plan = a_composition(placed("a", 0, 10_000, placeholder=True), name=hostile)
    (segment,) = picture_segments(plan)
    command = " ".join(commands.picture_command(plan, segment, threads=1, lettering=True))
    assert "ass=f=name-00000-320x360.ass" in command
    assert "passwd" not in command
    ((file, script),) = commands.scripts(plan, [segment]).items()
    assert file == "name-00000-320x360.ass"
    assert script.splitlines()[-1].endswith(",,x':[a];movie=/etc/passwd,\\\u2060%\\{e:1\\}")


def test_without_letters_a_named_tile_is_plain() -> None:
    plan = a_composition(placed("a", 0, 10_000, placeholder=True))
    (segment,) = picture_segments(plan)
    assert "drawtext" not in " ".join(commands.picture_command(plan, segment, threads=1, lettering=False))


def test_the_list_of_parts_says_how_long_each_is() -> None:
    assert commands.concat_list([("picture-00000.mp4", 7500), ("picture-00001.mp4", 1)]) == (
        "ffconcat version 1.0\nfile 'picture-00000.mp4'\nduration 300.000\nfile 'picture-00001.mp4'\nduration 0.040\n"
    )
