"""The body that asks for a composition: what is taken how, and that every wrong member is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.composition_request import (
    AREA_MAX,
    SIDE_MAX,
    SIDE_MIN,
    SOURCES_MAX,
    CompositionRequest,
    parse,
    session_id,
    size,
)
from portico.core.errors import Invalid

SESSION = "7b61621f-62e0-4aad-ab11-9fd19e272e73"
FIRST = "1ccc7b54-4df3-4bca-a65a-35a1ecc777f1"
SECOND = "2ccc7b54-4df3-4bca-a65a-35a1ecc777f2"
VIDEOS = {FIRST, SECOND}
ALL = {"video_sources": ["*"]}


def read(**members: Any) -> CompositionRequest:
    body = {"session_id": SESSION, **members}
    return parse(body, videos=VIDEOS, regions_max=2, sound_by_default=True)


def wrong(body: object, *, videos: set[str] | None = VIDEOS, regions_max: int = 2) -> list[tuple[str, str | None]]:
    """Code and pointer of each fault."""
    with pytest.raises(Invalid) as caught:
        parse(body, videos=videos, regions_max=regions_max, sound_by_default=True)
    assert all(fault.detail and fault.title for fault in caught.value.faults)
    return [(fault.code, fault.pointer) for fault in caught.value.faults]


def wrong_in(**members: Any) -> list[tuple[str, str | None]]:
    return wrong({"session_id": SESSION, **members})


def test_only_the_session_is_needed() -> None:
    assert read() == CompositionRequest(
        session_id=SESSION,
        format="mp4",
        resolution="1280x720",
        video_layout={
            "main": {
                "x_pos": 0,
                "y_pos": 0,
                "z_pos": 0,
                "width": 1280,
                "height": 720,
                "max_columns": None,
                "max_rows": None,
                "video_sources": ["*"],
            }
        },
        audio_sources=["*"],
        show_placeholders=False,
        webhook_event_url=None,
        webhook_event_failover_url="",
        webhook_timeout_secs=None,
    )


NULLS = (
    "format",
    "resolution",
    "video_layout",
    "show_placeholders",
    "webhook_event_url",
    "webhook_event_failover_url",
    "webhook_timeout_secs",
)


def test_null_is_the_default_but_for_sound() -> None:
    assert read(**dict.fromkeys(NULLS)) == read()
    assert read(format="", resolution="", webhook_event_url="") == read()


@pytest.mark.parametrize(("given_sound", "expected"), [(None, None), ([], None), ("*", ["*"]), (["*"], ["*"])], ids=str)
def test_sound(given_sound: object, expected: list[str] | None) -> None:
    assert read(audio_sources=given_sound).audio_sources == expected


def test_whether_there_is_sound_by_default() -> None:
    body = {"session_id": SESSION}
    silent = parse(body, videos=VIDEOS, regions_max=2, sound_by_default=False)
    assert silent.audio_sources is None
    assert read().audio_sources == ["*"]


@pytest.mark.parametrize("sound", [["x"], ["*", "*"], "all", True, {}, 0, "", [FIRST], [[]]], ids=str)
def test_other_sound_is_refused(sound: object) -> None:
    assert wrong_in(audio_sources=sound) == [("10032", "/audio_sources")]


@pytest.mark.parametrize("resolution", ["16x16", "1280x720", "720x1280", "960x960", "0800x600"])
def test_resolutions(resolution: str) -> None:
    width, height = (int(side) for side in resolution.split("x"))
    assert read(resolution=resolution).resolution == f"{width}x{height}"
    assert size(f"{width}x{height}") == (width, height)


@pytest.mark.parametrize(
    ("resolution", "code"),
    [
        ("15x720", "10033"),
        ("1281x100", "10033"),
        ("1280x721", "10033"),
        ("1000x1000", "10033"),
        ("0x0", "10033"),
        ("big", "10015"),
        ("1280X720", "10015"),
        ("1280x720 ", "10015"),
        ("1280x720x1", "10015"),
        ("-16x16", "10015"),
        ("\u0661\u0662\u0668\u0660x720", "10015"),
        ("9999999x9999999", "10015"),
        ("x", "10015"),
        (1280, "10026"),
        (["1280x720"], "10026"),
    ],
    ids=str,
)
def test_other_resolutions_are_refused(resolution: object, code: str) -> None:
    assert wrong_in(resolution=resolution) == [(code, "/resolution")]


def test_a_region_gets_every_member_in_the_given_order() -> None:
    layout = {
        "z": {"x_pos": "100", "width": 480, "height": "360", "max_rows": 3, "video_sources": [FIRST.upper(), SECOND]},
        "a": {"y_pos": 300, "z_pos": -99, "x_pos": None, "width": None, "video_sources": "*", "colour": "red"},
    }
    read_layout = read(resolution="800x600", video_layout=layout).video_layout
    assert list(read_layout) == ["z", "a"]
    assert read_layout["z"] == {
        "x_pos": 100,
        "y_pos": 0,
        "z_pos": 0,
        "width": 480,
        "height": 360,
        "max_columns": None,
        "max_rows": 3,
        "video_sources": [FIRST, SECOND],
    }
    assert read_layout["a"] == {
        "x_pos": 0,
        "y_pos": 300,
        "z_pos": -99,
        "width": 800,
        "height": 300,
        "max_columns": None,
        "max_rows": None,
        "video_sources": ["*"],
    }


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([FIRST, FIRST.upper(), SECOND, FIRST], [FIRST, SECOND]),
        ([SECOND, "*", FIRST], ["*"]),
        (["*", "*"], ["*"]),
    ],
)
def test_sources(sources: list[str], expected: list[str]) -> None:
    assert read(video_layout={"x": {"video_sources": sources}}).video_layout["x"]["video_sources"] == expected


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("x_pos", -1, "10033"),
        ("x_pos", 785, "10033"),
        ("y_pos", 585, "10033"),
        ("x_pos", 1.5, "10026"),
        ("x_pos", True, "10026"),
        ("z_pos", 100, "10033"),
        ("z_pos", -100, "10033"),
        ("width", 15, "10033"),
        ("width", 801, "10033"),
        ("height", 601, "10033"),
        ("height", "tall", "10026"),
        ("max_rows", 0, "10033"),
        ("max_rows", 1001, "10033"),
        ("max_columns", 1001, "10033"),
        ("max_columns", [], "10026"),
        ("video_sources", [], "10004"),
        ("video_sources", None, "10004"),
        ("video_sources", "", "10004"),
        ("video_sources", FIRST, "10026"),
        ("video_sources", {}, "10026"),
        ("video_sources", 5, "10026"),
        ("video_sources", [FIRST] * (SOURCES_MAX + 1), "10033"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_member_of_a_region_is_named(member: str, value: object, code: str) -> None:
    layout = {"left": {**ALL, member: value}}
    assert wrong_in(resolution="800x600", video_layout=layout) == [(code, f"/video_layout/left/{member}")]


@pytest.mark.parametrize(("at", "side"), [("x_pos", "width"), ("y_pos", "height")])
def test_a_region_lies_within_the_picture(at: str, side: str) -> None:
    fits = {at: 100, side: 500, **ALL}
    assert read(resolution="600x600", video_layout={"x": fits}).video_layout["x"][side] == 500
    assert wrong_in(resolution="600x600", video_layout={"x": {**fits, side: 501}}) == [
        ("10033", f"/video_layout/x/{side}")
    ]


def test_required_sources_are_missed() -> None:
    assert wrong_in(video_layout={"x": {}}) == [("10004", "/video_layout/x/video_sources")]


def test_wrong_sources_are_named_one_by_one() -> None:
    unknown = "3ccc7b54-4df3-4bca-a65a-35a1ecc777f3"
    layout = {"x": {"video_sources": [FIRST, unknown, "x", 5, "*", None]}}
    at = "/video_layout/x/video_sources"
    assert wrong_in(video_layout=layout) == [
        ("10017", f"{at}/1"),
        ("10017", f"{at}/2"),
        ("10026", f"{at}/3"),
        ("10026", f"{at}/5"),
    ]


@pytest.mark.parametrize(
    ("layout", "code", "pointer"),
    [
        ({}, "10033", ""),
        ({"a": ALL, "b": ALL, "c": ALL}, "10033", ""),
        ([], "10026", ""),
        ("*", "10026", ""),
        ({"a": None}, "10026", "/a"),
        ({"a": [ALL]}, "10026", "/a"),
        ({"~1/": {}}, "10004", "/~01~1/video_sources"),
        ({"x" * 65: ALL}, "10025", ""),
        ({"a\0": ALL}, "10025", ""),
        ({"\ud800": ALL}, "10025", ""),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_wrong_layout_is_named(layout: object, code: str, pointer: str) -> None:
    assert wrong_in(video_layout=layout) == [(code, f"/video_layout{pointer}")]


@pytest.mark.parametrize("name", ["", " ", "x" * 64, "\u00e4 / ~ \U0001f600"])
def test_regions_have_any_name(name: str) -> None:
    assert list(read(video_layout={name: ALL}).video_layout) == [name]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("session_id", None, "10004"),
        ("session_id", "", "10004"),
        ("session_id", 5, "10026"),
        ("session_id", "S", "10017"),
        ("format", "webm", "10032"),
        ("format", "MP4", "10032"),
        ("format", 4, "10026"),
        ("show_placeholders", "yes", "10026"),
        ("webhook_event_url", "example.com", "10003"),
        ("webhook_event_failover_url", 5, "10026"),
        ("webhook_timeout_secs", 31, "10033"),
    ],
    ids=str,
)
def test_a_wrong_member_is_named(member: str, value: object, code: str) -> None:
    body = {"session_id": SESSION, member: value}
    videos = None if session_id(body) is None else VIDEOS
    assert wrong(body, videos=videos) == [(code, f"/{member}")]


def test_everything_wrong_is_named_at_once_in_order() -> None:
    body = {
        "webhook_timeout_secs": -1,
        "audio_sources": 1,
        "video_layout": {"b": {"width": 1, "video_sources": [1]}, "a": {"z_pos": "top"}},
        "resolution": "1x1",
        "format": "avi",
    }
    assert wrong(body, videos=None) == [
        ("10004", "/session_id"),
        ("10032", "/format"),
        ("10033", "/resolution"),
        ("10033", "/video_layout/b/width"),
        ("10026", "/video_layout/b/video_sources/0"),
        ("10026", "/video_layout/a/z_pos"),
        ("10004", "/video_layout/a/video_sources"),
        ("10032", "/audio_sources"),
        ("10033", "/webhook_timeout_secs"),
    ]


def test_sources_of_an_unknown_session_are_not_asked_for() -> None:
    body = {"session_id": SESSION, "video_layout": {"x": {"video_sources": [FIRST, "x"]}}}
    assert wrong(body, videos=None) == [("10017", "/session_id"), ("10017", "/video_layout/x/video_sources/1")]


@pytest.mark.parametrize("body", [[], "x", 1, None, True])
def test_a_body_is_an_object(body: object) -> None:
    assert wrong(body) == [("10027", None)]
    assert session_id(body) is None


def test_the_session_is_read_in_either_case() -> None:
    assert session_id({"session_id": SESSION.upper()}) == SESSION
    assert read(session_id=SESSION.upper()).session_id == SESSION


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["*", FIRST, ""])
JSON = st.recursive(
    SCALARS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
REGIONS = st.fixed_dictionaries(
    {"video_sources": st.sampled_from([["*"], "*", [FIRST], []])},
    optional=dict.fromkeys(("x_pos", "y_pos", "z_pos", "width", "height", "max_rows"), st.integers(-20, 1400)),
)


def expect_that_it_can_be_answered(refused: Invalid) -> None:
    assert refused.faults
    for fault in refused.faults:
        assert fault.pointer is not None
        json.dumps(fault.pointer, ensure_ascii=False).encode()


@given(
    st.dictionaries(
        st.sampled_from(["format", "resolution", "audio_sources", "show_placeholders", "webhook_timeout_secs", "x"]),
        JSON,
    ),
    JSON | st.dictionaries(st.text(max_size=3), JSON | REGIONS, max_size=3),
)
def test_whatever_comes_is_refused_or_a_picture(members: dict[str, Any], layout: object) -> None:
    try:
        found = read(**members, video_layout=layout)
    except Invalid as refused:
        expect_that_it_can_be_answered(refused)
        return
    width, height = size(found.resolution)
    assert min(width, height) >= SIDE_MIN and max(width, height) <= SIDE_MAX and width * height <= AREA_MAX
    assert 1 <= len(found.video_layout) <= 2
    for region in found.video_layout.values():
        assert region["x_pos"] >= 0 and region["width"] >= SIDE_MIN and region["x_pos"] + region["width"] <= width
        assert region["y_pos"] >= 0 and region["height"] >= SIDE_MIN and region["y_pos"] + region["height"] <= height
        assert region["video_sources"] == ["*"] or set(region["video_sources"]) <= VIDEOS
