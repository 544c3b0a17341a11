"""What a browser publishes, as recordings and mutes need to know it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.signaling.display import StreamDisplay
from portico.signaling.own_streams import OwnStream, OwnStreams
from tests.signaling.conversation import PARTICIPANT, ROOM, STREAM

HANDLE, FEED = 1002, 21
AUDIO, VIDEO = {"type": "audio", "mid": "0"}, {"type": "video", "mid": "1"}
BOTH = frozenset({"audio", "video"})
CONFIGURED = {"videoroom": "event", "configured": "ok", "streams": [AUDIO, VIDEO]}


def shown(key: str = "self", *, audio: bool = True, video: bool = True) -> StreamDisplay:
    return StreamDisplay(PARTICIPANT, STREAM, key, audio, video)


def published(*, audio: bool = True, video: bool = True) -> OwnStreams:
    streams = OwnStreams()
    streams.announce(HANDLE, shown(audio=audio, video=video))
    streams.hear(HANDLE, {"videoroom": "joined", "id": FEED})
    streams.hear(HANDLE, CONFIGURED)
    return streams


def test_a_stream_is_on_the_air_once_janus_has_answered_its_offer() -> None:
    streams = OwnStreams()
    assert streams.snapshot(HANDLE) is None
    streams.announce(HANDLE, shown())
    assert streams.snapshot(HANDLE) is None
    streams.hear(HANDLE, {"videoroom": "joined", "id": FEED})
    assert streams.snapshot(HANDLE) is None
    assert streams.feed_of(HANDLE) == FEED
    streams.hear(HANDLE, CONFIGURED)
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH)


@pytest.mark.parametrize(
    ("audio", "video", "enabled"),
    [(True, True, {"audio", "video"}), (True, False, {"audio"}), (False, True, {"video"}), (False, False, set())],
)
def test_what_is_enabled_is_what_the_browser_says(audio: bool, video: bool, enabled: set[str]) -> None:
    snapshot = published(audio=audio, video=video).snapshot(HANDLE)
    assert snapshot is not None
    assert snapshot.enabled == enabled


def test_the_browser_may_change_its_mind_and_the_name() -> None:
    streams = published()
    streams.announce(HANDLE, shown("screen", video=False))
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "screen", frozenset({"audio"}))


def test_a_track_that_janus_did_not_take_is_not_enabled() -> None:
    streams = published()
    streams.hear(HANDLE, {**CONFIGURED, "streams": [AUDIO]})
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", frozenset({"audio"}))


def test_media_comes_track_by_track_and_stays_come() -> None:
    streams = published(video=False)
    streams.media_came(HANDLE, "1")
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", frozenset({"audio"}), frozenset({"video"}))
    streams.media_came(HANDLE, 0)
    streams.announce(HANDLE, shown())
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH, BOTH)


@pytest.mark.parametrize(("handle", "mid"), [(HANDLE, "7"), (HANDLE, None), (9999, "0")])
def test_media_of_what_is_not_published_changes_nothing(handle: int, mid: object) -> None:
    streams = published()
    streams.media_came(handle, mid)
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH)
    assert streams.snapshot(9999) is None


@pytest.mark.parametrize("end", [{"unpublished": "ok"}, {"leaving": "ok"}, None])
def test_what_comes_again_on_the_same_handle_has_brought_no_media_yet(end: dict[str, Any] | None) -> None:
    streams = published()
    streams.media_came(HANDLE, "0")
    if end is None:
        assert streams.off_air(HANDLE)
    else:
        streams.hear(HANDLE, {"videoroom": "event", **end})
    assert streams.snapshot(HANDLE) is None
    assert not streams.off_air(HANDLE)
    streams.media_came(HANDLE, "0")
    streams.hear(HANDLE, CONFIGURED)
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH)
    assert streams.feed_of(HANDLE) == FEED


def test_a_connection_that_comes_up_is_on_the_air_though_an_end_was_heard() -> None:
    streams = published()
    streams.off_air(HANDLE)
    streams.connected(HANDLE)
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH)


def test_a_connection_of_another_kind_is_no_stream() -> None:
    streams = OwnStreams()
    streams.connected(HANDLE)
    streams.announce(HANDLE, shown())
    streams.connected(HANDLE)
    assert streams.snapshot(HANDLE) is None


def test_a_handle_that_is_gone_is_forgotten() -> None:
    streams = published()
    streams.detached(HANDLE)
    streams.detached(HANDLE)
    assert streams.snapshot(HANDLE) is None
    assert streams.feed_of(HANDLE) is None
    assert streams.tracks_of(HANDLE) == []
    assert streams.moderations(ROOM, HANDLE, mute=True) == []
    assert not streams.off_air(HANDLE)


def test_streams_do_not_know_of_each_other() -> None:
    streams = published()
    streams.announce(1003, shown("screen", audio=False))
    streams.hear(1003, {"videoroom": "joined", "id": 22})
    streams.hear(1003, {**CONFIGURED, "streams": [VIDEO]})
    assert streams.snapshot(1003) == OwnStream(1003, "screen", frozenset({"video"}))
    assert streams.snapshot(HANDLE) == OwnStream(HANDLE, "self", BOTH)
    assert [handle for handle, _ in streams.all_moderations(ROOM, mute=True)] == [HANDLE]
    assert streams.tracks_of(1003) == [{"mid": "1", "type": "video"}]


STEPS: list[Callable[[OwnStreams], object]] = [
    *(partial(OwnStreams.announce, handle=HANDLE, shown=shown(audio=on, video=not on)) for on in (True, False)),
    partial(OwnStreams.hear, handle=HANDLE, content={"videoroom": "joined", "id": FEED}),
    partial(OwnStreams.hear, handle=HANDLE, content=CONFIGURED),
    partial(OwnStreams.hear, handle=HANDLE, content={**CONFIGURED, "streams": [AUDIO]}),
    partial(OwnStreams.hear, handle=HANDLE, content={"videoroom": "event", "unpublished": "ok"}),
    *(partial(OwnStreams.media_came, handle=HANDLE, mid=mid) for mid in "01"),
    partial(OwnStreams.connected, handle=HANDLE),
    partial(OwnStreams.off_air, handle=HANDLE),
    partial(OwnStreams.detached, handle=HANDLE),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=30))
def test_whatever_is_heard_the_snapshot_makes_sense(steps: list[Callable[[OwnStreams], object]]) -> None:
    streams = OwnStreams()
    for step in steps:
        step(streams)
        snapshot = streams.snapshot(HANDLE)
        if snapshot is not None:
            assert snapshot.enabled <= {track["type"] for track in streams.tracks_of(HANDLE)}
            assert snapshot.came <= BOTH
    on_air = streams.snapshot(HANDLE) is not None
    assert streams.off_air(HANDLE) or not on_air
    assert streams.snapshot(HANDLE) is None
