"""Requests to Janus with a room's secret: the three Janus rooms of one room, and what the API does to participants.

Source: the pages of VideoRoom, AudioBridge and TextRoom in the Janus manual.
"""

from dataclasses import dataclass
from typing import Any

VIDEOROOM = "janus.plugin.videoroom"
AUDIOBRIDGE = "janus.plugin.audiobridge"
TEXTROOM = "janus.plugin.textroom"
PLUGINS = frozenset({VIDEOROOM, AUDIOBRIDGE, TEXTROOM})

PluginRequests = list[tuple[int, dict[str, Any]]]
"""Requests of ours to plugins: (handle, body)."""

ROOM_PUBLISHERS_MAX = 500
"""Published streams in a room at once: more than 50 participants with PUBLISHERS_MAX of signaling/limits.py each."""
KEYFRAME_EVERY_SECS = 20
"""Publishers are asked for a keyframe this often: a player starts at one, and a recording goes on after a loss."""
_ALREADY_EXISTS = {VIDEOROOM: 427, AUDIOBRIDGE: 486, TEXTROOM: 418}
_DOES_NOT_EXIST = {VIDEOROOM: 426, AUDIOBRIDGE: 485, TEXTROOM: 417}
_NO_SUCH_TEXT_MEMBER = 423

# Levels are averages of 25 packets (half a second). Below 45 a participant talks (RFC 6464: 0 is loud, 127 silent).
_LEVELS = {
    "audiolevel_ext": True,
    "audiolevel_event": True,
    "audio_active_packets": 25,
    "audio_level_average": 45,
}


@dataclass(frozen=True, slots=True)
class MediaRoom:
    """The numbers of a room inside Janus, and the secret that operates it. All are random.

    `video` is the number in the VideoRoom and the AudioBridge. `text` is that in the TextRoom: browsers learn it,
    because their data channels reach the TextRoom past the gateway, so no other number may follow from it.
    """

    room_id: str
    video: int
    text: int
    secret: str


def creations(room: MediaRoom, admin_key: str, mjr_folder: str) -> list[tuple[str, dict[str, Any]]]:
    """(plugin, request) that makes each of the three rooms. `mjr_folder` is where Janus writes its recordings."""
    common = {
        "request": "create",
        "permanent": False,
        "is_private": True,
        "secret": room.secret,
        "admin_key": admin_key,
    }
    video = {
        **common,
        **_LEVELS,
        "room": room.video,
        "publishers": ROOM_PUBLISHERS_MAX,
        "bitrate": 0,
        "fir_freq": KEYFRAME_EVERY_SECS,
        "audiocodec": "opus",
        "videocodec": "vp8,h264",
        "videoorient_ext": False,  # otherwise phones do not rotate their video, and recordings are not upright
        "notify_joining": False,
        "record": False,
        "lock_record": True,
        "rec_dir": mjr_folder,
    }
    audio = {**common, **_LEVELS, "room": room.video, "sampling_rate": 48000, "record": False}
    text = {**common, "room": room.text, "history": 0}
    return [(VIDEOROOM, video), (AUDIOBRIDGE, audio), (TEXTROOM, text)]


def destructions(room: MediaRoom, admin_key: str) -> list[tuple[str, dict[str, Any]]]:
    """(plugin, request) that destroys each of the three rooms."""
    common = {"request": "destroy", "permanent": False, "secret": room.secret, "admin_key": admin_key}
    return [
        (VIDEOROOM, {**common, "room": room.video}),
        (AUDIOBRIDGE, {**common, "room": room.video}),
        (TEXTROOM, {**common, "room": room.text}),
    ]


def exists_already(plugin: str, code: int) -> bool:
    """Whether this error code of `create` means that the room exists."""
    return _ALREADY_EXISTS[plugin] == code


def is_no_member(code: int) -> bool:
    """Whether this error code of the TextRoom's `kick` means that the room or the member does not exist."""
    return code in (_DOES_NOT_EXIST[TEXTROOM], _NO_SUCH_TEXT_MEMBER)


def is_gone(plugin: str, code: int) -> bool:
    """Whether this error code of `destroy` means that the room does not exist."""
    return _DOES_NOT_EXIST[plugin] == code


# Request bodies during a call.


def kick(room: MediaRoom, register_id: int) -> dict[str, Any]:
    """To the AudioBridge: kick this member, which is reported to all members, the kicked one included."""
    return {"request": "kick", "room": room.video, "id": register_id, "secret": room.secret}


def list_members(room: MediaRoom) -> dict[str, Any]:
    """To the AudioBridge: list the members of the room."""
    return {"request": "listparticipants", "room": room.video, "secret": room.secret}


def list_text_members(room: MediaRoom) -> dict[str, Any]:
    """To the TextRoom: list the members of the room."""
    return {"request": "listparticipants", "room": room.text, "secret": room.secret}


def probe(room: MediaRoom) -> dict[str, Any]:
    """To the TextRoom: send all members an empty message, which data channels acknowledge and the SDK ignores."""
    return {"request": "announcement", "room": room.text, "text": "", "secret": room.secret}


def expel(room: MediaRoom, username: str) -> dict[str, Any]:
    """To the TextRoom: kick the member with this name, which then receives no more messages."""
    return {"request": "kick", "room": room.text, "username": username, "secret": room.secret}


def moderate(room: MediaRoom, feed: int, mid: str, *, mute: bool) -> dict[str, Any]:
    """To the VideoRoom: drop the media of this track, or pass it on again; reported to all participants."""
    return {"request": "moderate", "room": room.video, "id": feed, "mid": mid, "mute": mute, "secret": room.secret}


def mute_mixer(room: MediaRoom, mixer_id: int, *, mute: bool) -> dict[str, Any]:
    """To the AudioBridge: leave this mixer's sound out of the mix, or add it again."""
    request = "mute" if mute else "unmute"
    return {"request": request, "room": room.video, "id": mixer_id, "secret": room.secret}


def record(room: MediaRoom, mjr_name: str | None) -> dict[str, Any]:
    """To a publisher's handle: record its tracks into mjr files whose names begin with this one, or stop (None)."""
    body = {"request": "configure", "record": mjr_name is not None, "secret": room.secret}
    return body if mjr_name is None else {**body, "filename": mjr_name}
