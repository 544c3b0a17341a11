"""What one browser publishes: its video room streams and its sound in the mix, with mutes and recording applied."""

from dataclasses import dataclass, field
from typing import Any

from portico.signaling import control
from portico.signaling.audio_bridge import AudioBridge
from portico.signaling.control import MediaRoom, PluginRequests
from portico.signaling.display import StreamDisplay
from portico.signaling.effects import Effect, NotePublished, NoteUnpublished, PublishedStream
from portico.signaling.policy import Allowed, Role
from portico.signaling.translate import TrackKinds
from portico.signaling.wire import Wire


@dataclass(slots=True)
class _Publisher:
    feed: int | None = None
    display: StreamDisplay | None = None
    tracks: dict[str, str] = field(default_factory=dict)  # kind by mid, as of the newest publication
    is_published: bool = False
    with_media: frozenset[str] = frozenset()


class PublishedStreams:
    """The streams of one browser by publisher handle: their tracks, which are enabled, which have carried media."""

    def __init__(self) -> None:
        self._publishers: dict[int, _Publisher] = {}

    def announce(self, handle: int, display: StreamDisplay) -> None:
        """Keep the display that the browser sent for this handle: the stream's key and its enabled tracks."""
        self._publishers.setdefault(handle, _Publisher()).display = display

    def feed_of(self, handle: int) -> int | None:
        """Janus' id of the stream (its feed), once the VideoRoom has answered the join."""
        publisher = self._publishers.get(handle)
        return publisher.feed if publisher is not None else None

    def receive(self, handle: int, content: dict[str, Any]) -> None:
        """Update the stream from an answer of the VideoRoom to its publisher."""
        publisher = self._publishers.get(handle)
        if publisher is None:
            return
        if content.get("videoroom") == "joined":
            publisher.feed = content.get("id")
        if streams := content.get("streams"):
            publisher.tracks = {str(each.get("mid")): str(each.get("type")) for each in streams}
            publisher.is_published = True
        elif content.get("unpublished") == "ok" or content.get("leaving") == "ok":
            self.stop(handle)

    def connected(self, handle: int) -> None:
        """Mark the stream as published: Janus reports its PeerConnection as up.

        The report of an earlier publication's end may arrive after the answer to the next offer, and has unmarked it.
        """
        publisher = self._publishers.get(handle)
        if publisher is not None and publisher.tracks:
            publisher.is_published = True

    def media_arrived(self, handle: int, mid: object) -> None:
        """Mark the track with this mid as one that has carried media."""
        publisher = self._publishers.get(handle)
        if publisher is not None and publisher.is_published and (kind := publisher.tracks.get(str(mid))):
            publisher.with_media |= {kind}

    def snapshot(self, handle: int) -> PublishedStream | None:
        """The stream as it is now; None while it is not published."""
        publisher = self._publishers.get(handle)
        if publisher is None or not publisher.is_published or publisher.display is None:
            return None
        display = publisher.display
        enabled = {"audio": display.audio_enabled, "video": display.video_enabled}
        kinds = frozenset(kind for kind in publisher.tracks.values() if enabled.get(kind))
        return PublishedStream(handle, display.key, kinds, publisher.with_media)

    def tracks_of(self, handle: int) -> list[dict[str, str]]:
        """The stream's tracks in the form in which Janus lists them: [{"mid": ..., "type": ...}]."""
        publisher = self._publishers.get(handle)
        return [{"mid": mid, "type": kind} for mid, kind in publisher.tracks.items()] if publisher is not None else []

    def stop(self, handle: int) -> bool:
        """Mark the stream as not published; True if it was. The handle may publish again, with the same feed."""
        publisher = self._publishers.get(handle)
        if publisher is None or not publisher.is_published:
            return False
        publisher.is_published, publisher.with_media = False, frozenset()
        return True

    def detached(self, handle: int) -> None:
        """Forget the stream of a handle that no longer exists."""
        self._publishers.pop(handle, None)

    def moderations(self, room: MediaRoom, handle: int, *, mute: bool) -> PluginRequests:
        """The `moderate` requests that mute or unmute the stream's audio.

        They are made for a stream that is not published, too: the browser may just be publishing it again.
        """
        publisher = self._publishers.get(handle)
        if publisher is None or publisher.feed is None:
            return []
        audio = [mid for mid, kind in publisher.tracks.items() if kind == "audio"]
        return [(handle, control.moderate(room, publisher.feed, mid, mute=mute)) for mid in audio]

    def all_moderations(self, room: MediaRoom, *, mute: bool) -> PluginRequests:
        """The `moderate` requests that mute or unmute the audio of every stream."""
        return [each for handle in self._publishers for each in self.moderations(room, handle, mute=mute)]


class Publishing:
    """What one browser publishes in one room. Each method returns the effects that the change has."""

    def __init__(self, wire: Wire, room: MediaRoom, kinds: TrackKinds) -> None:
        self._wire = wire
        self._room = room
        self._kinds = kinds
        self._bridge = AudioBridge()
        self._streams = PublishedStreams()
        self._recorded: set[int] = set()  # handles whose streams Janus records

    @property
    def volume(self) -> int:
        """Per cent at which the browser's sound is added to the mix."""
        return self._bridge.volume

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the participant's register member; None until Janus has answered its join."""
        return self._bridge.register_id

    @property
    def muted(self) -> bool:
        """Whether the API has muted the participant."""
        return self._bridge.muted

    def note_request(self, handle: int, allowed: Allowed) -> None:
        """Keep what an allowed request states about the browser's own microphone and stream."""
        if allowed.mic_off is not None:
            self._bridge.mic_off = allowed.mic_off
        if allowed.publishes is not None:
            self._streams.announce(handle, allowed.publishes)

    def receive_bridge(
        self, content: dict[str, Any], role: Role | None, handle: int, *, may_publish: bool
    ) -> list[Effect]:
        """Act on an AudioBridge event. `role` is that of the request it answers, None for an event without request."""
        return self._wire.own_requests(self._bridge.receive(self._room, content, role, handle, may_publish=may_publish))

    def receive_answer(self, handle: int, content: dict[str, Any], *, negotiated: bool) -> list[Effect]:
        """Act on the VideoRoom's answer to a publisher. `negotiated`: whether it contains an SDP answer."""
        was_published = self._streams.snapshot(handle) is not None
        self._streams.receive(handle, content)
        stream = self._streams.snapshot(handle)
        if stream is None:
            return self._unpublished(handle) if was_published else []
        # Janus keeps moderation per stream: a muted participant's next stream is muted before it can carry media.
        return [*(self._muting(handle) if negotiated else []), NotePublished(stream)]

    def connected(self, handle: int) -> list[Effect]:
        """Act on Janus' `webrtcup`.

        Janus announces the stream to the others only now, without saying that it is muted: so it is muted again.
        """
        self._streams.connected(handle)
        self._kinds.learn(self._streams.feed_of(handle), self._streams.tracks_of(handle))
        return [*self._muting(handle), *self.report(handle)]

    def media_arrived(self, handle: int, mid: object) -> list[Effect]:
        """Act on Janus' `media` event that says that a track receives media."""
        self._streams.media_arrived(handle, mid)
        return self.report(handle)

    def report(self, handle: int) -> list[Effect]:
        """Report the stream as it is now, if it is published."""
        stream = self._streams.snapshot(handle)
        return [] if stream is None else [NotePublished(stream)]

    def stop(self, handle: int) -> list[Effect]:
        """Act on the end of the stream; the handle stays and may publish again."""
        return self._unpublished(handle) if self._streams.stop(handle) else []

    def detached(self, handle: int) -> list[Effect]:
        """Act on the end of the handle. Nothing is sent to Janus about it, which no longer has the handle."""
        self._recorded.discard(handle)
        ended = self.stop(handle)
        self._streams.detached(handle)
        self._bridge.detached(handle)
        return ended

    def mute(self, muted: bool, *, may_publish: bool) -> list[Effect]:
        """Mute or unmute every stream and the sound in the mix, now and in whatever is published later."""
        if muted is self._bridge.muted:
            return []
        streams = self._streams.all_moderations(self._room, mute=muted)
        return self._wire.own_requests(streams + self._bridge.mute(self._room, muted, may_publish=may_publish))

    def kick(self) -> list[Effect]:
        """Kick the participant's register member, which Janus reports to all participants of the room."""
        return self._wire.own_requests(self._bridge.kick(self._room))

    def record(self, handle: int, mjr_name: str | None) -> list[Effect]:
        """Have Janus record the stream of this handle into files of this name, or stop recording it (None)."""
        if mjr_name is None:
            self._recorded.discard(handle)
        else:
            self._recorded.add(handle)
        return self._wire.own_requests([(handle, control.record(self._room, mjr_name))])

    def _muting(self, handle: int) -> list[Effect]:
        if not self._bridge.muted:
            return []
        return self._wire.own_requests(self._streams.moderations(self._room, handle, mute=True))

    def _unpublished(self, handle: int) -> list[Effect]:
        # Recording stops with the stream: the handle may publish again, and must not write into the same files.
        stop = self.record(handle, None) if handle in self._recorded else []
        return [*stop, NoteUnpublished(handle)]
