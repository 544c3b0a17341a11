"""A participant of a room from code, for bots and tests: `pip install portico-video[client]`, then docs/client.md.

async with Room.join("http://127.0.0.1:8080", room_id, token, context={"name": "Echo"}) as room:
    await room.publish(audio=FilePlayer("hello.ogg"))
    async for event in room.events(): ...
"""

from portico.client.errors import (
    ClientError,
    JoinError,
    MediaFailed,
    RequestRefused,
    RoomEnded,
    RoomFull,
    SourceFailed,
    TokenRefused,
    Unavailable,
    Unreachable,
)
from portico.client.events import (
    Ended,
    Event,
    Joined,
    Left,
    Lost,
    Message,
    Muted,
    Published,
    Rejoined,
    Speaking,
    Unpublished,
    Updated,
)
from portico.client.files import FilePlayer
from portico.client.frames import AudioFrame, EncodedFrame, VideoFrame
from portico.client.participant import SCREEN, SELF, Participant, Stream
from portico.client.publishing import Publication
from portico.client.room import Room
from portico.client.sources import AudioSource, LiveAudio, Packets, Picture, Tone, VideoSource

__all__ = [
    "SCREEN",
    "SELF",
    "AudioFrame",
    "AudioSource",
    "ClientError",
    "EncodedFrame",
    "Ended",
    "Event",
    "FilePlayer",
    "JoinError",
    "Joined",
    "Left",
    "LiveAudio",
    "Lost",
    "MediaFailed",
    "Message",
    "Muted",
    "Packets",
    "Participant",
    "Picture",
    "Publication",
    "Published",
    "Rejoined",
    "RequestRefused",
    "Room",
    "RoomEnded",
    "RoomFull",
    "SourceFailed",
    "Speaking",
    "Stream",
    "TokenRefused",
    "Tone",
    "Unavailable",
    "Unpublished",
    "Unreachable",
    "Updated",
    "VideoFrame",
    "VideoSource",
]
