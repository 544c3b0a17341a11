"""The body of a request for a composition: converted leniently, with every fault named (contract section 8.1)."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from portico.core.casting import BodyMember, Value, cast, is_storable, parse_uuid
from portico.core.errors import Fault, Invalid

SIDE_MIN, SIDE_MAX, AREA_MAX = 16, 1280, 1280 * 720
"""The least and the greatest side of a picture in pixels, and its greatest area; SIDE_MIN holds for regions too."""
REGIONS_MAX = 16
"""The default of the setting; the hosted service accepts two regions."""
REGION_NAME_MAX = 64
SOURCES_MAX = 250
EVERY_SOURCE = "*"
FORMAT = "mp4"
RESOLUTION = "1280x720"
_RESOLUTION = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")

SESSION = BodyMember(
    "session_id",
    "string",
    "The session whose recordings are composed.",
    required=True,
    example="7b61621f-62e0-4aad-ab11-9fd19e272e73",
)
FORMAT_MEMBER = BodyMember("format", "string", "The kind of file; there is only one.", FORMAT, example=FORMAT)
RESOLUTION_MEMBER = BodyMember(
    "resolution",
    "string",
    f"Width and height of the picture: each from {SIDE_MIN} to {SIDE_MAX}, together at most {AREA_MAX:,} pixels.",
    RESOLUTION,
    example=RESOLUTION,
)
PLAIN = (
    BodyMember(
        "show_placeholders",
        "boolean",
        "Whether a tile with the participant's name stands where a camera is switched off.",
        False,
        example=False,
    ),
    BodyMember(
        "webhook_event_url",
        "url",
        "Where the event of its completion is delivered: http or https, without user name and password.",
        longest=2000,
        example="https://example.com/events",
    ),
    BodyMember(
        "webhook_event_failover_url",
        "url",
        "Where the event goes when its delivery to the first URL fails.",
        "",
        longest=2000,
        example="https://failover.example.com/events",
    ),
    BodyMember(
        "webhook_timeout_secs",
        "integer",
        "Seconds that a receiver has to answer; null and 0 mean two.",
        minimum=0,
        maximum=30,
        example=20,
    ),
)
REGION = (
    BodyMember("x_pos", "integer", "Pixels between the picture's left edge and the region's.", 0, minimum=0, example=0),
    BodyMember(
        "y_pos", "integer", "Pixels between the picture's upper edge and the region's.", 0, minimum=0, example=0
    ),
    BodyMember(
        "z_pos",
        "integer",
        "Regions with a higher number lie on top; of equal ones the later.",
        0,
        minimum=-99,
        maximum=99,
        example=0,
    ),
    BodyMember("width", "integer", "Pixels; by default as far as the picture goes.", minimum=SIDE_MIN, example=480),
    BodyMember("height", "integer", "Pixels; by default as far as the picture goes.", minimum=SIDE_MIN, example=360),
    BodyMember("max_columns", "integer", "Of the grid; by default any.", minimum=1, maximum=1000, example=3),
    BodyMember("max_rows", "integer", "Of the grid; by default any.", minimum=1, maximum=1000, example=3),
)


@dataclass(frozen=True, slots=True)
class CompositionRequest:
    """The requested composition, with defaults for absent members; each region of `video_layout` has every member."""

    session_id: str
    format: str
    resolution: str
    video_layout: dict[str, dict[str, Any]]
    audio_sources: list[str] | None
    show_placeholders: bool
    webhook_event_url: str | None
    webhook_event_failover_url: str
    webhook_timeout_secs: int | None


def session_id(body: object) -> str | None:
    """The session id in the body; None if it has none that is a UUID."""
    given = body.get(SESSION.name) if isinstance(body, Mapping) else None
    return parse_uuid(given) if isinstance(given, str) else None


def parse(
    body: object, *, videos: Container[str] | None, regions_max: int, sound_by_default: bool
) -> CompositionRequest:
    """The request in the body. Raises Invalid with one Fault for each wrong member.

    `videos` are the ids of the session's video recordings, None when there is no such session.
    """
    cast((), body)  # it should be an object
    assert isinstance(body, Mapping)
    faults: list[Fault] = []
    _cast(SESSION, body, faults)
    if not faults and videos is None:
        faults.append(_missing("There is no such session in your account.", "/session_id"))
    if _cast(FORMAT_MEMBER, body, faults) != FORMAT:
        faults.append(Fault("10032", "Invalid enumerated value", f"format should be {FORMAT}.", pointer="/format"))
    canvas = _canvas(body, faults)
    layout = _layout(body.get("video_layout"), canvas or (SIDE_MAX, SIDE_MAX), videos, regions_max, faults)
    audio = _audio(body, sound_by_default, faults)
    plain: dict[str, Any] = {member.name: _cast(member, body, faults) for member in PLAIN}
    session = session_id(body)
    if faults or session is None or canvas is None:
        raise Invalid(*faults)
    return CompositionRequest(session, FORMAT, f"{canvas[0]}x{canvas[1]}", layout, audio, **plain)


def size(resolution: str) -> tuple[int, int]:
    """Width and height of a resolution that was accepted."""
    width, _, height = resolution.partition("x")
    return int(width), int(height)


def _cast(member: BodyMember, body: Mapping[Any, Any], faults: list[Fault], at: str = "") -> Value:
    """The member's value; its default when it is absent, or wrong and noted in `faults`."""
    try:
        return cast((member,), body).get(member.name, member.default)
    except Invalid as wrong:
        faults += [replace(fault, pointer=f"{at}{fault.pointer}") for fault in wrong.faults]
        return member.default


def _canvas(body: Mapping[Any, Any], faults: list[Fault]) -> tuple[int, int] | None:
    match = _RESOLUTION.fullmatch(str(_cast(RESOLUTION_MEMBER, body, faults)))
    pointer = "/resolution"
    if match is None:
        detail = f"resolution should be width and height in pixels, like {RESOLUTION}."
        faults.append(Fault("10015", "Bad Request", detail, pointer=pointer))
        return None
    width, height = int(match[1]), int(match[2])
    if not SIDE_MIN <= min(width, height) <= max(width, height) <= SIDE_MAX:
        faults.append(_out_of_range(f"Width and height should be from {SIDE_MIN} to {SIDE_MAX}.", pointer))
        return None
    if width * height > AREA_MAX:
        faults.append(_out_of_range(f"Width times height should be at most {AREA_MAX}, as in {RESOLUTION}.", pointer))
        return None
    return width, height


def _layout(
    given: object, canvas: tuple[int, int], videos: Container[str] | None, regions_max: int, faults: list[Fault]
) -> dict[str, dict[str, Any]]:
    pointer = "/video_layout"
    if given is None:
        given = {"main": {"video_sources": [EVERY_SOURCE]}}
    if not isinstance(given, Mapping):
        faults.append(_wrong_type("video_layout should be an object of regions by name.", pointer))
    elif not 1 <= len(given) <= regions_max:
        faults.append(_out_of_range(f"video_layout should have 1 to {regions_max} regions.", pointer))
    else:
        return {name: _region(name, region, canvas, videos, faults) for name, region in given.items()}
    return {}


def _region(
    name: str, given: object, canvas: tuple[int, int], videos: Container[str] | None, faults: list[Fault]
) -> dict[str, Any]:
    if len(name) > REGION_NAME_MAX or not is_storable(name):  # and then no pointer should hold it
        detail = f"A region's name should have at most {REGION_NAME_MAX} characters, and no control character NUL."
        faults.append(Fault("10025", "String length out of range", detail, pointer="/video_layout"))
        return {}
    at = "/video_layout/" + name.replace("~", "~0").replace("/", "~1")
    if not isinstance(given, Mapping):
        faults.append(_wrong_type("A region should be an object.", at))
        return {}
    width, height = canvas
    region: dict[str, Any] = {}
    for member in REGION:
        left = {
            "x_pos": width - SIDE_MIN,
            "y_pos": height - SIDE_MIN,
            "width": width - region.get("x_pos", 0),
            "height": height - region.get("y_pos", 0),
        }.get(member.name, member.maximum)
        default = left if member.name in ("width", "height") else member.default
        region[member.name] = _cast(replace(member, maximum=left, default=default), given, faults, at)
    region["video_sources"] = _sources(given.get("video_sources"), f"{at}/video_sources", videos, faults)
    return region


def _sources(given: object, at: str, videos: Container[str] | None, faults: list[Fault]) -> list[str]:
    """The ids without repetition, or only EVERY_SOURCE. Ids are not looked up when `videos` is None."""
    if given == EVERY_SOURCE:
        return [EVERY_SOURCE]
    if given in (None, "", []):
        detail = f'video_sources is required: ids of video recordings, or "{EVERY_SOURCE}" for all of the session.'
        faults.append(Fault("10004", "Missing required parameter", detail, pointer=at))
        return []
    if not isinstance(given, list):
        faults.append(_wrong_type(f'video_sources should be a list of ids, or "{EVERY_SOURCE}".', at))
        return []
    if len(given) > SOURCES_MAX:
        faults.append(_out_of_range(f"video_sources should have at most {SOURCES_MAX} ids.", at))
        return []
    sources = {}
    for index, each in enumerate(given):
        source = each if each == EVERY_SOURCE else parse_uuid(each) if isinstance(each, str) else None
        if not isinstance(each, str):
            faults.append(_wrong_type("A video source should be a string.", f"{at}/{index}"))
        elif source is None or (source != EVERY_SOURCE and videos is not None and source not in videos):
            detail = "There is no video recording with this id in the session."
            faults.append(_missing(detail, f"{at}/{index}"))
        else:
            sources[source] = True
    return [EVERY_SOURCE] if EVERY_SOURCE in sources else list(sources)


def _audio(body: Mapping[Any, Any], sound_by_default: bool, faults: list[Fault]) -> list[str] | None:
    """[EVERY_SOURCE] or None: the hosted service has no other sources of sound."""
    given = body.get("audio_sources", EVERY_SOURCE if sound_by_default else None)
    if given is None or given == []:
        return None
    if given not in (EVERY_SOURCE, [EVERY_SOURCE]):
        detail = f'audio_sources should be ["{EVERY_SOURCE}"] for all sound of the session, or null for none.'
        faults.append(Fault("10032", "Invalid enumerated value", detail, pointer="/audio_sources"))
    return [EVERY_SOURCE]


def _missing(detail: str, pointer: str) -> Fault:
    return Fault("10017", "Associated resource does not exist", detail, pointer=pointer)


def _out_of_range(detail: str, pointer: str) -> Fault:
    return Fault("10033", "Value outside of range", detail, pointer=pointer)


def _wrong_type(detail: str, pointer: str) -> Fault:
    return Fault("10026", "Invalid parameter type", detail, pointer=pointer)
