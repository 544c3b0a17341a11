"""What a browser publishes, as recordings and mutes need to know it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.signaling.display import StreamDisplay
from portico.signaling.effects import PublishedStream
from portico.signaling.publishing import PublishedStreams
from tests.signaling.conversation import PARTICIPANT, ROOM, STREAM

HANDLE, FEED = 1002, 21
AUDIO, VIDEO = {"type": "audio", "mid": "0"}, {"type": "video", "mid": "1"}
BOTH = frozenset({"audio", "video"})
CONFIGURED = {"videoroom": "event", "configured": "ok", "streams": [AUDIO, VIDEO]}


def display(key: str = "self", *, audio: bool = True, video: bool = True) -> StreamDisplay:
    return StreamDisplay(PARTICIPANT, STREAM, key, audio, video)


def published(*, audio: bool = True, video: bool = True) -> PublishedStreams:
    streams = PublishedStreams()
    streams.announce(HANDLE, display(audio=audio, video=video))
    streams.receive(HANDLE, {"videoroom": "joined", "id": FEED})
    streams.receive(HANDLE, CONFIGURED)
    return streams


def test_a_stream_is_on_the_air_once_janus_has_answered_its_offer() -> None:
    streams = PublishedStreams()
    assert streams.snapshot(HANDLE) is None
    streams.announce(HANDLE, display())
    assert streams.snapshot(HANDLE) is None
    streams.receive(HANDLE, {"videoroom": "joined", "id": FEED})
    assert streams.snapshot(HANDLE) is None
    assert streams.feed_of(HANDLE) == FEED
    streams.receive(HANDLE, CONFIGURED)
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH)


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
    streams.announce(HANDLE, display("screen", video=False))
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "screen", frozenset({"audio"}))


def test_a_track_that_janus_did_not_take_is_not_enabled() -> None:
    streams = published()
    streams.receive(HANDLE, {**CONFIGURED, "streams": [AUDIO]})
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", frozenset({"audio"}))


def test_media_comes_track_by_track_and_stays_come() -> None:
    streams = published(video=False)
    streams.media_arrived(HANDLE, "1")
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", frozenset({"audio"}), frozenset({"video"}))
    streams.media_arrived(HANDLE, 0)
    streams.announce(HANDLE, display())
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH, BOTH)


@pytest.mark.parametrize(("handle", "mid"), [(HANDLE, "7"), (HANDLE, None), (9999, "0")])
def test_media_of_what_is_not_published_changes_nothing(handle: int, mid: object) -> None:
    streams = published()
    streams.media_arrived(handle, mid)
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH)
    assert streams.snapshot(9999) is None


@pytest.mark.parametrize("end", [{"unpublished": "ok"}, {"leaving": "ok"}, None])
def test_what_comes_again_on_the_same_handle_has_brought_no_media_yet(end: dict[str, Any] | None) -> None:
    streams = published()
    streams.media_arrived(HANDLE, "0")
    if end is None:
        assert streams.stop(HANDLE)
    else:
        streams.receive(HANDLE, {"videoroom": "event", **end})
    assert streams.snapshot(HANDLE) is None
    assert not streams.stop(HANDLE)
    streams.media_arrived(HANDLE, "0")
    streams.receive(HANDLE, CONFIGURED)
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH)
    assert streams.feed_of(HANDLE) == FEED


def test_a_connection_that_comes_up_is_published_though_an_end_was_reported() -> None:
    streams = published()
    streams.stop(HANDLE)
    streams.connected(HANDLE)
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH)


def test_a_connection_of_another_kind_is_no_stream() -> None:
    streams = PublishedStreams()
    streams.connected(HANDLE)
    streams.announce(HANDLE, display())
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
    assert not streams.stop(HANDLE)


def test_streams_do_not_know_of_each_other() -> None:
    streams = published()
    streams.announce(1003, display("screen", audio=False))
    streams.receive(1003, {"videoroom": "joined", "id": 22})
    streams.receive(1003, {**CONFIGURED, "streams": [VIDEO]})
    assert streams.snapshot(1003) == PublishedStream(1003, "screen", frozenset({"video"}))
    assert streams.snapshot(HANDLE) == PublishedStream(HANDLE, "self", BOTH)
    assert [handle for handle, _ in streams.all_moderations(ROOM, mute=True)] == [HANDLE]
    assert streams.tracks_of(1003) == [{"mid": "1", "type": "video"}]


STEPS: list[Callable[[PublishedStreams], object]] = [
    *(
        partial(PublishedStreams.announce, handle=HANDLE, display=display(audio=on, video=not on))
        for on in (True, False)
    ),
    partial(PublishedStreams.receive, handle=HANDLE, content={"videoroom": "joined", "id": FEED}),
    partial(PublishedStreams.receive, handle=HANDLE, content=CONFIGURED),
    partial(PublishedStreams.receive, handle=HANDLE, content={**CONFIGURED, "streams": [AUDIO]}),
    partial(PublishedStreams.receive, handle=HANDLE, content={"videoroom": "event", "unpublished": "ok"}),
    *(partial(PublishedStreams.media_arrived, handle=HANDLE, mid=mid) for mid in "01"),
    partial(PublishedStreams.connected, handle=HANDLE),
    partial(PublishedStreams.stop, handle=HANDLE),
    partial(PublishedStreams.detached, handle=HANDLE),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=30))
def test_whatever_is_received_the_snapshot_makes_sense(steps: list[Callable[[PublishedStreams], object]]) -> None:
    streams = PublishedStreams()
    for step in steps:
        step(streams)
        snapshot = streams.snapshot(HANDLE)
        if snapshot is not None:
            assert snapshot.enabled <= {track["type"] for track in streams.tracks_of(HANDLE)}
            assert snapshot.with_media <= BOTH
    is_published = streams.snapshot(HANDLE) is not None
    assert streams.stop(HANDLE) or not is_published
    assert streams.snapshot(HANDLE) is None
