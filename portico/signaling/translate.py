"""Translation of plugin events into what the SDK reads: room UUIDs, and moderation by kind of track."""

from typing import Any

from portico.signaling.control import MediaRoom

TRACKS_REMEMBERED_MAX = 4096


class TrackKinds:
    """The kind ("audio" or "video") of each track, by feed and mid: Janus moderates by mid, the SDK reads a kind."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[int, str], str] = {}

    def learn(self, feed: object, streams: object) -> None:
        """Keep the kinds of a feed's tracks. The TRACKS_REMEMBERED_MAX newest are kept, more than a room can have."""
        if not isinstance(feed, int) or not isinstance(streams, list):
            return
        for stream in streams:
            key = feed, str(stream.get("mid"))
            self._kinds.pop(key, None)
            self._kinds[key] = str(stream.get("type"))
        while len(self._kinds) > TRACKS_REMEMBERED_MAX:
            del self._kinds[next(iter(self._kinds))]

    def of(self, feed: object, mid: object) -> str | None:
        """ "audio" or "video"; None for a track that Janus has not announced."""
        return self._kinds.get((feed, str(mid))) if isinstance(feed, int) else None


def translate(content: dict[str, Any], room: MediaRoom, kinds: TrackKinds) -> None:
    """Rewrite the content of a plugin's event in place, and keep the kinds of the tracks that it announces."""
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
