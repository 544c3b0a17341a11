"""The streams that this browser publishes: their tracks, whether they are enabled, and whether media has come."""

from dataclasses import dataclass, field
from typing import Any

from portico.signaling import control
from portico.signaling.control import MediaRoom
from portico.signaling.display import StreamDisplay

Requests = list[tuple[int, dict[str, Any]]]
"""Requests of our own: on which handle, and the body."""


@dataclass(frozen=True, slots=True)
class OwnStream:
    """A published stream as far as a recording is concerned. `enabled` is what the browser says of its tracks, `came`
    which of them have carried anything: the SDK sends silence and a black picture where there is nothing."""

    handle: int
    key: str
    enabled: frozenset[str]
    came: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Publisher:
    feed: int | None = None
    display: StreamDisplay | None = None
    tracks: dict[str, str] = field(default_factory=dict)  # kind by mid, as they were last on the air
    on_air: bool = False
    came: frozenset[str] = frozenset()


class OwnStreams:
    """All streams of one browser, by handle."""

    def __init__(self) -> None:
        self._publishers: dict[int, _Publisher] = {}

    def announce(self, handle: int, shown: StreamDisplay) -> None:
        """The browser said what it publishes on this handle."""
        self._publishers.setdefault(handle, _Publisher()).display = shown

    def feed_of(self, handle: int) -> int | None:
        """Janus' number of the stream."""
        publisher = self._publishers.get(handle)
        return publisher.feed if publisher is not None else None

    def hear(self, handle: int, content: dict[str, Any]) -> None:
        """Take in what the VideoRoom answers to a publisher."""
        publisher = self._publishers.get(handle)
        if publisher is None:
            return
        if content.get("videoroom") == "joined":
            publisher.feed = content.get("id")
        if streams := content.get("streams"):
            publisher.tracks = {str(each.get("mid")): str(each.get("type")) for each in streams}
            publisher.on_air = True
        elif content.get("unpublished") == "ok" or content.get("leaving") == "ok":
            self.off_air(handle)

    def connected(self, handle: int) -> None:
        """Media can flow. When it is a second publication, the end of the first may have come to our ears only now."""
        publisher = self._publishers.get(handle)
        if publisher is not None and publisher.tracks:
            publisher.on_air = True

    def media_came(self, handle: int, mid: object) -> None:
        """Media arrives on a track."""
        publisher = self._publishers.get(handle)
        if publisher is not None and publisher.on_air and (kind := publisher.tracks.get(str(mid))):
            publisher.came |= {kind}

    def snapshot(self, handle: int) -> OwnStream | None:
        """The stream as it is now; None while it is not on the air."""
        publisher = self._publishers.get(handle)
        if publisher is None or not publisher.on_air or publisher.display is None:
            return None
        shown = publisher.display
        enabled = {"audio": shown.audio_enabled, "video": shown.video_enabled}
        kinds = frozenset(kind for kind in publisher.tracks.values() if enabled.get(kind))
        return OwnStream(handle, shown.key, kinds, publisher.came)

    def tracks_of(self, handle: int) -> list[dict[str, str]]:
        """The stream's tracks in the form in which Janus lists them."""
        publisher = self._publishers.get(handle)
        return [{"mid": mid, "type": kind} for mid, kind in publisher.tracks.items()] if publisher is not None else []

    def off_air(self, handle: int) -> bool:
        """The handle publishes no more, but may again, as the same feed; whether it was on the air."""
        publisher = self._publishers.get(handle)
        if publisher is None or not publisher.on_air:
            return False
        publisher.on_air, publisher.came = False, frozenset()
        return True

    def detached(self, handle: int) -> None:
        """There is no such handle any more."""
        self._publishers.pop(handle, None)

    def moderations(self, room: MediaRoom, handle: int, *, mute: bool) -> Requests:
        """What mutes or unmutes the stream's audio; also off the air, in case that it is on again already."""
        publisher = self._publishers.get(handle)
        if publisher is None or publisher.feed is None:
            return []
        audio = [mid for mid, kind in publisher.tracks.items() if kind == "audio"]
        return [(handle, control.moderate(room, publisher.feed, mid, mute=mute)) for mid in audio]

    def all_moderations(self, room: MediaRoom, *, mute: bool) -> Requests:
        """The same for every stream."""
        return [each for handle in self._publishers for each in self.moderations(room, handle, mute=mute)]
