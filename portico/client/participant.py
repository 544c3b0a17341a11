"""The participants of a room and their streams, as the client knows them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from portico.client.frames import AudioFrame, EncodedFrame, VideoFrame

SELF = "self"
"""The key of the stream with camera and microphone, in every client of the dialect."""
SCREEN = "presentation"
"""The key of the stream with a shared screen."""
NAMELESS = "Guest"
_NAME_MEMBERS = ("username", "name", "displayName", "display_name")


class Media(Protocol):
    """Delivers the media of participants; `listening.Listening` does."""

    def audio_of(self, participant: "Participant", key: str) -> AsyncIterator[AudioFrame]: ...
    def video_of(self, participant: "Participant", key: str, layer: int | None) -> AsyncIterator[VideoFrame]: ...
    def encoded_of(self, participant: "Participant", key: str, kind: str) -> AsyncIterator[EncodedFrame]: ...


@dataclass(eq=False, slots=True)
class Stream:
    """Up to one audio and one video track that a participant publishes under a key."""

    id: str
    key: str
    feed: int
    """The server's number of the stream; another one when it is published again."""
    has_audio: bool = False
    has_video: bool = False
    audio_enabled: bool = True
    """Whether the participant has the microphone on."""
    video_enabled: bool = True
    """Whether the participant has the camera on."""
    muted: bool = False
    """Whether the server keeps the audio silent."""
    layers: int = 1
    """Simulcast layers of the video."""

    def has(self, kind: str) -> bool:
        """Whether the stream has a track of this kind, "audio" or "video"."""
        return self.has_audio if kind == "audio" else self.has_video


@dataclass(eq=False, slots=True)
class Participant:
    """One stay of a client in the room. It ends with `left`; a participant who rejoins is another one."""

    id: str
    context: str | None = None
    """The text that the participant's client sent about itself at its join."""
    receives_messages: bool = True
    is_self: bool = False
    has_left: bool = False
    speaking: bool = False
    streams: dict[str, Stream] = field(default_factory=dict)
    """By key: "self" is camera and microphone, "presentation" a shared screen."""
    _media: Media | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The name to show: from the context, which may be JSON with a `name` or `username`, or plain text."""
        return display_name(self.context)

    @property
    def muted(self) -> bool:
        """Whether the server keeps the participant's microphone silent."""
        return any(stream.muted for stream in self.streams.values())

    def audio(self, stream: str = SELF) -> AsyncIterator[AudioFrame]:
        """The participant's own sound, 20 ms at a time, until the participant leaves.

        It subscribes at the first step, waits while the stream is not published, and unsubscribes at the end. A
        consumer that is slower than the sound loses the oldest frames.
        """
        assert self._media is not None
        return self._media.audio_of(self, stream)

    def video(self, stream: str = SELF, *, layer: int | None = None) -> AsyncIterator[VideoFrame]:
        """The participant's pictures, decoded, until the participant leaves; as `audio`.

        `layer` asks for one simulcast layer: 0 is the smallest. The server sends the highest one there is up to it.
        """
        assert self._media is not None
        return self._media.video_of(self, stream, layer)

    def encoded(self, kind: str, stream: str = SELF) -> AsyncIterator[EncodedFrame]:
        """The participant's encoded frames of this `kind`, "audio" or "video", as they arrive. Nothing is decoded."""
        assert self._media is not None
        return self._media.encoded_of(self, stream, kind)


def display_name(context: str | None) -> str:
    """The name in a context, "Guest" without one: the rule of the meeting page."""
    return _named(context or "").strip()[:60] or NAMELESS


def _named(context: str) -> str:
    try:
        value = json.loads(context)
    except (ValueError, RecursionError):
        return context
    if isinstance(value, dict):
        named = (value.get(member) for member in _NAME_MEMBERS)
        value = next((each for each in named if isinstance(each, str) and each.strip()), None)
    return value if isinstance(value, str) else ""
