"""From a session to the plan of its composition: which participant has a cell, under which name, and when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from portico.composer.plan import CompositionPlan
from portico.core.model import Region
from portico.services.composition_sources import ShownParticipant, SourceRecording, Work
from portico.worker.compositions import planning
from tests.factories import NOW

WHOLE = Region("main", 0, 0, 0, 1280, 720, None, None, ("*",))


def at(secs: float) -> int:
    return (NOW + timedelta(seconds=secs) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def recording(
    id: str,
    participant: str,
    begin: float,
    end: float,
    *shown: tuple[float, float],
    key: str = "self",
    type: str = "video",
) -> SourceRecording:
    intervals = tuple((at(a), at(b)) for a, b in shown or ((begin, end),))
    started, ended = NOW + timedelta(seconds=begin), NOW + timedelta(seconds=end)
    return SourceRecording(
        id,
        type,
        "vp8",
        f"{id}.webm",
        started,
        ended,
        key,
        participant,
        intervals,
        None,
        f'{{"username":"{participant}"}}',
    )


def participant(id: str, joined: float, left: float | None, context: str | None = None) -> ShownParticipant:
    left_at = None if left is None else NOW + timedelta(seconds=left)
    return ShownParticipant(id, NOW + timedelta(seconds=joined), left_at, None, context or f'{{"username":"{id}"}}')


def made(
    sources: list[SourceRecording], participants: list[ShownParticipant], *, placeholders: bool = True
) -> CompositionPlan:
    work = Work(
        "c", 1280, 720, (WHOLE,), True, placeholders, tuple(sources), tuple(participants) if placeholders else ()
    )
    return planning.make(work, {each.id: Path(each.object_key) for each in sources}, "fast")


def tiles(plan: CompositionPlan) -> list[tuple[str, int, int, bool]]:
    """(Name, from, until in seconds, whether it is a placeholder) of each placement, by name and time."""
    names = {video.recording_id: video.name for video in plan.videos}
    found = [(names[p.recording_id], p.from_ms // 1000, p.until_ms // 1000, p.placeholder) for p in plan.placements]
    return sorted(found, key=lambda each: each[:2])


def test_a_participant_without_a_camera_has_a_tile_while_present() -> None:
    sources = [recording("r1", "Anna", 0, 30), recording("r2", "Ben", 0, 30, type="audio")]
    participants = [
        participant("Anna", -5, 30),
        participant("Ben", 10, 20),
        participant("Carol", 15, None),
        participant("Dora", 31, 40),
    ]
    assert tiles(made(sources, participants)) == [
        ("Anna", 0, 30, False),
        ("Ben", 10, 20, True),
        ("Carol", 15, 30, True),
    ]
    assert tiles(made(sources, participants, placeholders=False)) == [("Anna", 0, 30, False)]


def test_no_participant_has_a_camera() -> None:
    sources = [recording("r", "Anna", 0, 10, type="audio")]
    plan = made(sources, [participant("Anna", -1, 10), participant("Ben", 2, 8)])
    assert tiles(plan) == [("Anna", 0, 10, True), ("Ben", 2, 8, True)]
    assert {(each.x, each.width) for each in plan.placements} == {(0, 640), (640, 640)}


def test_a_tile_stands_before_the_first_picture_and_after_the_last() -> None:
    sources = [recording("r", "Anna", 0, 30), recording("s", "Ben", 10, 25, (12, 15), (18, 20))]
    assert tiles(made(sources, [participant("Anna", 0, 30), participant("Ben", 4, 28)])) == [
        ("Anna", 0, 30, False),
        ("Ben", 4, 12, True),
        ("Ben", 12, 15, False),
        ("Ben", 15, 18, True),
        ("Ben", 18, 20, False),
        ("Ben", 20, 28, True),
    ]


def test_a_camera_that_is_published_again_leaves_no_hole() -> None:
    sources = [recording("r", "Anna", 5, 10), recording("s", "Anna", 20, 25)]
    plan = made(sources, [participant("Anna", 0, 40)])
    assert tiles(plan) == [
        ("Anna", 0, 5, False),
        ("Anna", 5, 15, True),
        ("Anna", 15, 20, False),
    ]
    assert {(each.x, each.width) for each in plan.placements} == {(0, 1280)}


def test_a_shared_screen_is_large_with_people_beside_it_only_while_it_is_shared() -> None:
    sources = [
        recording("a", "Anna", 0, 30),
        recording("b", "Ben", 0, 30),
        recording("s", "Anna", 10, 20, key="presentation"),
    ]
    plan = made(sources, [], placeholders=False)
    cells = {(p.recording_id, p.from_ms // 1000): (p.x, p.y, p.width, p.height) for p in plan.placements}
    assert cells == {
        ("a", 0): (0, 0, 640, 720),
        ("b", 0): (640, 0, 640, 720),
        ("s", 10): (0, 0, 1067, 720),
        ("a", 10): (1067, 0, 213, 120),
        ("b", 10): (1067, 120, 213, 120),
        ("a", 20): (0, 0, 640, 720),
        ("b", 20): (640, 0, 640, 720),
    }


def test_with_a_layout_of_ones_own_a_screen_is_a_video_like_others() -> None:
    sources = [recording("a", "Anna", 0, 30), recording("s", "Anna", 10, 20, key="presentation")]
    half = Region("main", 0, 0, 0, 640, 720, None, None, ("*",))
    work = Work("c", 1280, 720, (half,), True, False, tuple(sources))
    plan = planning.make(work, {each.id: Path(each.object_key) for each in sources}, "fast")
    assert {(p.recording_id, p.x, p.width) for p in plan.placements} == {("a", 0, 320), ("s", 320, 320)}
