"""The participant's two AudioBridge members (register and mixer): their mutes, and the volume of the mixer.

The AudioBridge (1.1.2 and 1.4.1) adds 16-bit samples without clipping: a sum that is out of range wraps around into
noise. So the volumes of those who talk at the same time have to add up to less than full scale: those who talk now, as
Janus reports it, and one more, because Janus needs up to a second to report a participant who begins. Silent
participants, muted or not, make no other quieter. Each browser's connection adjusts the volume of its own mixer.
"""

from typing import Any

from portico.signaling import control, display
from portico.signaling.control import MediaRoom, PluginRequests
from portico.signaling.display import StreamDisplay
from portico.signaling.policy import Role

VOLUME_MAX = 50
"""Per cent in a call of two: 2.6 dB above that of one talker among many, so that joins of others change it little."""
VOLUME_MIN = 5
"""Per cent, however many talk at the same time."""
_HEADROOM = 75
"""Per cent that the others may reach together. Opus overshoots: tones at full scale were clean at 75 and not at 90."""


class MixVolume:
    """The volume of one mixer, from the number of other mixers in the room and of those who talk."""

    def __init__(self) -> None:
        self._others: set[int] = set()
        self._talking: set[int] = set()

    def receive(self, content: dict[str, Any], own_id: int | None) -> bool:
        """Count the members that an AudioBridge event names; True if the volume changed."""
        before = self.volume
        for member in content.get("participants", ()):
            number = member.get("id")
            if number != own_id and _is_mixer(member.get("display")):
                self._others.add(number)
                if member.get("talking"):
                    self._talking.add(number)
        match content.get("audiobridge"):
            case "talking":
                self._talking.add(content.get("id", 0))
            case "stopped-talking":
                self._talking.discard(content.get("id", 0))
        for name in ("leaving", "kicked"):
            self._others.discard(content.get(name, 0))
            self._talking.discard(content.get(name, 0))
        return self.volume != before

    @property
    def volume(self) -> int:
        """Per cent at which the browser's sound is added to the mix."""
        together = min(max(1, len(self._talking)) + 1, max(1, len(self._others)))
        return max(VOLUME_MIN, min(VOLUME_MAX, _HEADROOM // together))


class AudioBridge:
    """The two members of one participant: the register shows that it is in the room, the mixer carries its sound."""

    def __init__(self) -> None:
        self.muted = False
        """Whether the API has muted the participant."""
        self.mic_off = False
        """Whether the browser wants its sound left out of the mix, whatever its token allows."""
        self._members: dict[Role, tuple[int, int]] = {}  # (handle, member id) by role, once Janus answered the join
        self._mix = MixVolume()
        self._was_muted = False  # whether the API has ever muted or unmuted the participant

    @property
    def volume(self) -> int:
        """Per cent at which the browser's sound is added to the mix."""
        return self._mix.volume

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the register member; None until Janus has answered its join."""
        register = self._members.get(Role.REGISTER)
        return register[1] if register is not None else None

    def detached(self, handle: int) -> None:
        """Forget the member of a handle that no longer exists."""
        self._members = {role: member for role, member in self._members.items() if member[0] != handle}

    def receive(
        self, room: MediaRoom, content: dict[str, Any], role: Role | None, handle: int, *, may_publish: bool
    ) -> PluginRequests:
        """Requests that follow from an AudioBridge event. `role` is the role of the request that it answers, if any."""
        if role is not None and content["audiobridge"] == "joined":
            self._members[role] = handle, content["id"]
        mixer = self._members.get(Role.MIXER)
        volume_changed = self._mix.receive(content, mixer[1] if mixer is not None else None)
        if mixer is None:
            return []
        requests: PluginRequests = []
        if volume_changed:
            requests.append((mixer[0], {"request": "configure", "volume": self._mix.volume}))
        if role is Role.MIXER and self._was_muted:
            # Janus runs an operator's request ahead of queued requests of the browser. So a `configure` of the browser
            # that was queued when the API muted it undoes the mute, which is therefore sent again after each answer.
            requests += self._apply_mute(room, may_publish)
        return requests

    def mute(self, room: MediaRoom, muted: bool, *, may_publish: bool) -> PluginRequests:
        """Requests that mute the mixer, or unmute it if its microphone is on and its token allows publishing."""
        self.muted, self._was_muted = muted, True
        return self._apply_mute(room, may_publish)

    def _apply_mute(self, room: MediaRoom, may_publish: bool) -> PluginRequests:
        mixer = self._members.get(Role.MIXER)
        if mixer is None:
            return []
        silent = self.muted or self.mic_off or not may_publish
        return [(mixer[0], control.mute_mixer(room, mixer[1], mute=silent))]

    def kick(self, room: MediaRoom) -> PluginRequests:
        """The request that kicks the register member, which Janus reports to all participants of the room."""
        register = self._members.get(Role.REGISTER)
        return [] if register is None else [(register[0], control.kick(room, register[1]))]


def _is_mixer(text: object) -> bool:
    try:
        return isinstance(display.parse(text), StreamDisplay)
    except display.MalformedDisplay:
        return False
