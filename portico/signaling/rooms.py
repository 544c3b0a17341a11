"""Janus' words about rooms and streams in the words of the SDK: the room's UUID, and who is moderated."""

from typing import Any

from portico.signaling.control import MediaRoom

TRACKS_REMEMBERED_MAX = 4096


class TrackKinds:
    """Whether a feed's mid is audio or video: Janus names moderated tracks by mid, the SDK by kind."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[int, str], str] = {}

    def learn(self, feed: object, streams: object) -> None:
        """Remember the tracks of a feed. Only the newest are kept: a room has a bounded number of streams."""
        if not isinstance(feed, int) or not isinstance(streams, list):
            return
        for stream in streams:
            key = feed, str(stream.get("mid"))
            self._kinds.pop(key, None)
            self._kinds[key] = str(stream.get("type"))
        while len(self._kinds) > TRACKS_REMEMBERED_MAX:
            del self._kinds[next(iter(self._kinds))]

    def of(self, feed: object, mid: object) -> str | None:
        """ "audio", "video", or None for a track that was never announced."""
        return self._kinds.get((feed, str(mid))) if isinstance(feed, int) else None


def translate(content: dict[str, Any], room: MediaRoom, kinds: TrackKinds) -> None:
    """Rewrite, in place, what a plugin of Janus says."""
    if content.get("room") in (room.video, room.text):
        content["room"] = room.room_id
    for publisher in content.get("publishers", ()):
        kinds.learn(publisher.get("id"), publisher.get("streams"))
        _mark_moderated(publisher)
    if "moderation" in content:
        kind = kinds.of(content.get("id"), content.get("mid"))
        if kind is not None:
            del content["mid"]
            content[f"{kind}-moderation"] = content.pop("moderation")
            content["room"] = room.room_id


def _mark_moderated(publisher: dict[str, Any]) -> None:
    for stream in publisher.get("streams", ()):
        if stream.get("moderated"):
            publisher[f"{stream.get('type')}_moderated"] = True
