"""Requests to Janus as its operator: the three rooms behind one meeting.

Source: the pages of VideoRoom, AudioBridge and TextRoom in the Janus manual.
"""

from dataclasses import dataclass
from typing import Any

VIDEOROOM = "janus.plugin.videoroom"
AUDIOBRIDGE = "janus.plugin.audiobridge"
TEXTROOM = "janus.plugin.textroom"
PLUGINS = frozenset({VIDEOROOM, AUDIOBRIDGE, TEXTROOM})

Requests = list[tuple[int, dict[str, Any]]]
"""Requests of ours to plugins: (handle, body)."""

PUBLISHERS_MAX = 500
"""Streams in a room at once: more than the 8 of each of 50 participants, which `signaling/limits.py` bounds."""
KEYFRAME_EVERY_SECS = 20
"""Publishers are asked for one this often: recordings can be entered there, and go on after a loss."""
_ALREADY_EXISTS = {VIDEOROOM: 427, AUDIOBRIDGE: 486, TEXTROOM: 418}
_DOES_NOT_EXIST = {VIDEOROOM: 426, AUDIOBRIDGE: 485, TEXTROOM: 417}
_NO_SUCH_TEXT_MEMBER = 423

# Levels are measured over 25 packets (half a second); 45 is "speaking" on the scale of RFC 6464 (0 loud, 127 silent).
_LEVELS = {
    "audiolevel_ext": True,
    "audiolevel_event": True,
    "audio_active_packets": 25,
    "audio_level_average": 45,
}


@dataclass(frozen=True, slots=True)
class MediaRoom:
    """The numbers of a room inside Janus, and the secret that operates it. All random, none derived from the room's id.

    `text` is told to browsers, who speak to the TextRoom directly over their data channel: it must not lead to others.
    """

    room_id: str
    video: int
    text: int
    secret: str


def creations(room: MediaRoom, admin_key: str, mjr_folder: str) -> list[tuple[str, dict[str, Any]]]:
    """(plugin, request) for each of the three rooms. `mjr_folder` is where Janus writes its recordings."""
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
        "publishers": PUBLISHERS_MAX,
        "bitrate": 0,
        "fir_freq": KEYFRAME_EVERY_SECS,
        "audiocodec": "opus",
        "videocodec": "vp8,h264",
        "videoorient_ext": False,  # or phones leave it to every viewer, recordings included, to turn their pictures
        "notify_joining": False,
        "record": False,
        "lock_record": True,
        "rec_dir": mjr_folder,
    }
    audio = {**common, **_LEVELS, "room": room.video, "sampling_rate": 48000, "record": False}
    text = {**common, "room": room.text, "history": 0}
    return [(VIDEOROOM, video), (AUDIOBRIDGE, audio), (TEXTROOM, text)]


def destructions(room: MediaRoom, admin_key: str) -> list[tuple[str, dict[str, Any]]]:
    """(plugin, request) for each of the three rooms."""
    common = {"request": "destroy", "permanent": False, "secret": room.secret, "admin_key": admin_key}
    return [
        (VIDEOROOM, {**common, "room": room.video}),
        (AUDIOBRIDGE, {**common, "room": room.video}),
        (TEXTROOM, {**common, "room": room.text}),
    ]


def exists_already(plugin: str, code: int) -> bool:
    """Whether an error of `create` means that the room is there."""
    return _ALREADY_EXISTS[plugin] == code


def is_no_member(code: int) -> bool:
    """Whether an error of the TextRoom's `kick` means that there is no such room or member."""
    return code in (_DOES_NOT_EXIST[TEXTROOM], _NO_SUCH_TEXT_MEMBER)


def is_gone(plugin: str, code: int) -> bool:
    """Whether an error of `destroy` means that there is no such room."""
    return _DOES_NOT_EXIST[plugin] == code


# What the API orders during a call, asked on a handle of the browser that it concerns.


def kick(room: MediaRoom, register_id: int) -> dict[str, Any]:
    """Everybody hears that this participant of the AudioBridge was kicked, the participant too."""
    return {"request": "kick", "room": room.video, "id": register_id, "secret": room.secret}


def list_members(room: MediaRoom) -> dict[str, Any]:
    """To the AudioBridge: who is in the room."""
    return {"request": "listparticipants", "room": room.video, "secret": room.secret}


def list_text_members(room: MediaRoom) -> dict[str, Any]:
    """To the TextRoom: who is in the room."""
    return {"request": "listparticipants", "room": room.text, "secret": room.secret}


def probe(room: MediaRoom) -> dict[str, Any]:
    """To the TextRoom: send every member a message, which data channels acknowledge and the SDK does not look at."""
    return {"request": "announcement", "room": room.text, "text": "", "secret": room.secret}


def expel(room: MediaRoom, username: str) -> dict[str, Any]:
    """To the TextRoom: the member with this name is out and receives no messages any more."""
    return {"request": "kick", "room": room.text, "username": username, "secret": room.secret}


def moderate(room: MediaRoom, feed: int, mid: str, *, mute: bool) -> dict[str, Any]:
    """The VideoRoom drops what comes on this track, or takes it again, and tells everybody."""
    return {"request": "moderate", "room": room.video, "id": feed, "mid": mid, "mute": mute, "secret": room.secret}


def mute_mixer(room: MediaRoom, mixer_id: int, *, mute: bool) -> dict[str, Any]:
    """The AudioBridge leaves this participant out of the mix, or takes it in again."""
    request = "mute" if mute else "unmute"
    return {"request": request, "room": room.video, "id": mixer_id, "secret": room.secret}


def record(room: MediaRoom, mjr_name: str | None) -> dict[str, Any]:
    """To a publisher's handle: what it sends goes into files that begin with this name, or (None) does no more."""
    body = {"request": "configure", "record": mjr_name is not None, "secret": room.secret}
    return body if mjr_name is None else {**body, "filename": mjr_name}
