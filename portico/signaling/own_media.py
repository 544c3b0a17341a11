"""What this browser sends: its streams and its sound in the mix, and what becomes of them by its wish and by ours."""

from typing import Any

from portico.signaling import control
from portico.signaling.control import MediaRoom
from portico.signaling.effects import Effect, Published, Unpublished
from portico.signaling.own_streams import OwnStreams
from portico.signaling.policy import Allowed, Role
from portico.signaling.presence import Presence
from portico.signaling.rooms import TrackKinds
from portico.signaling.wire import Wire


class OwnMedia:
    """Of one browser in one room."""

    def __init__(self, wire: Wire, room: MediaRoom, kinds: TrackKinds) -> None:
        self._wire = wire
        self._room = room
        self._kinds = kinds
        self._presence = Presence()
        self._streams = OwnStreams()
        self._recorded: set[int] = set()  # handles whose streams are being dumped

    @property
    def volume(self) -> int:
        """Per cent at which its sound goes into the mix."""
        return self._presence.volume

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the register member, once Janus has answered its join."""
        return self._presence.register_id

    @property
    def muted(self) -> bool:
        """By the API."""
        return self._presence.muted

    def asked(self, handle: int, allowed: Allowed) -> None:
        """A request of the browser goes on, with what it says of its own media."""
        if allowed.mic_off is not None:
            self._presence.mic_off = allowed.mic_off
        if allowed.publishes is not None:
            self._streams.announce(handle, allowed.publishes)

    def hear(self, content: dict[str, Any], role: Role | None, handle: int, *, may_publish: bool) -> list[Effect]:
        """The AudioBridge says something, in answer to a request of this role if it was asked."""
        return self._wire.own_requests(self._presence.hear(self._room, content, role, handle, may_publish=may_publish))

    def answered(self, handle: int, content: dict[str, Any], *, negotiated: bool) -> list[Effect]:
        """The VideoRoom answers a publisher."""
        was_on_air = self._streams.snapshot(handle) is not None
        self._streams.hear(handle, content)
        stream = self._streams.snapshot(handle)
        if stream is None:
            return self._taken_off(handle) if was_on_air else []
        # Moderation is per stream: whoever is muted stays so in the next one, from before anything of it can flow.
        return [*(self._muting(handle) if negotiated else []), Published(stream)]

    def connected(self, handle: int) -> list[Effect]:
        """Media can flow now. Only now do the others know of the stream, and nobody told them that it is muted."""
        self._streams.connected(handle)
        self._kinds.learn(self._streams.feed_of(handle), self._streams.tracks_of(handle))
        return [*self._muting(handle), *self.changed(handle)]

    def came(self, handle: int, mid: object) -> list[Effect]:
        """Media arrives on a track."""
        self._streams.media_came(handle, mid)
        return self.changed(handle)

    def changed(self, handle: int) -> list[Effect]:
        """What is to be told of a stream as it is now."""
        stream = self._streams.snapshot(handle)
        return [] if stream is None else [Published(stream)]

    def end(self, handle: int) -> list[Effect]:
        """Nothing is published on this handle any more, for the time being."""
        return self._taken_off(handle) if self._streams.off_air(handle) else []

    def forget(self, handle: int) -> list[Effect]:
        """There is no such handle any more, so there is nothing to tell Janus about it."""
        self._recorded.discard(handle)
        ended = self.end(handle)
        self._streams.detached(handle)
        self._presence.forget(handle)
        return ended

    def mute(self, muted: bool, *, may_publish: bool) -> list[Effect]:
        """Mute or unmute every stream and the sound in the mix, also of what is published later."""
        if muted is self._presence.muted:
            return []
        streams = self._streams.all_moderations(self._room, mute=muted)
        return self._wire.own_requests(streams + self._presence.mute(self._room, muted, may_publish=may_publish))

    def kick(self) -> list[Effect]:
        """Tell everybody that this participant is kicked."""
        return self._wire.own_requests(self._presence.kick(self._room))

    def record(self, handle: int, dump: str | None) -> list[Effect]:
        """Have Janus dump the stream of this handle under this name, or stop."""
        if dump is None:
            self._recorded.discard(handle)
        else:
            self._recorded.add(handle)
        return self._wire.own_requests([(handle, control.record(self._room, dump))])

    def _muting(self, handle: int) -> list[Effect]:
        if not self._presence.muted:
            return []
        return self._wire.own_requests(self._streams.moderations(self._room, handle, mute=True))

    def _taken_off(self, handle: int) -> list[Effect]:
        """A handle that publishes again later must not write into the files of this time."""
        stop = self.record(handle, None) if handle in self._recorded else []
        return [*stop, Unpublished(handle)]
