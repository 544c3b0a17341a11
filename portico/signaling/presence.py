"""What Janus' AudioBridge calls this participant, and what becomes of its sound in everybody's mix."""

from typing import Any

from portico.signaling import control
from portico.signaling.control import MediaRoom
from portico.signaling.mix import Mix
from portico.signaling.own_streams import Requests
from portico.signaling.policy import Role


class Presence:
    """A participant is twice in the AudioBridge: in the register, which shows who is here, and with its sound."""

    def __init__(self) -> None:
        self.muted = False
        """By the API."""
        self.mic_off = False
        """What the browser wants, whatever it is allowed."""
        self._places: dict[Role, tuple[int, int]] = {}  # handle and number, once joined
        self._mix = Mix()
        self._touched = False  # by the API: muted, and maybe unmuted since

    @property
    def volume(self) -> int:
        """Per cent at which its sound goes into the mix."""
        return self._mix.volume

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the register member, once Janus has answered its join."""
        register = self._places.get(Role.REGISTER)
        return register[1] if register is not None else None

    def forget(self, handle: int) -> None:
        """There is no such handle any more."""
        self._places = {role: place for role, place in self._places.items() if place[0] != handle}

    def hear(
        self, room: MediaRoom, content: dict[str, Any], role: Role | None, handle: int, *, may_publish: bool
    ) -> Requests:
        """Take in what the AudioBridge says, to a request of this role if it was asked; what follows from it."""
        if role is not None and content["audiobridge"] == "joined":
            self._places[role] = handle, content["id"]
        mixer = self._places.get(Role.MIXER)
        changed = self._mix.hear(content, mixer[1] if mixer is not None else None)
        if mixer is None:
            return []
        requests: Requests = []
        if changed:
            requests.append((mixer[0], {"request": "configure", "volume": self._mix.volume}))
        if role is Role.MIXER and self._touched:
            # Janus takes requests of operators first: what was ordered while this one was on its way is undone by it.
            requests += self._settle(room, may_publish)
        return requests

    def mute(self, room: MediaRoom, muted: bool, *, may_publish: bool) -> Requests:
        """Leave its sound out of the mix, or take it in again if the browser wants that and may."""
        self.muted, self._touched = muted, True
        return self._settle(room, may_publish)

    def _settle(self, room: MediaRoom, may_publish: bool) -> Requests:
        mixer = self._places.get(Role.MIXER)
        if mixer is None:
            return []
        silent = self.muted or self.mic_off or not may_publish
        return [(mixer[0], control.mute_mixer(room, mixer[1], mute=silent))]

    def kick(self, room: MediaRoom) -> Requests:
        """Tell everybody, also this browser, that it is kicked."""
        register = self._places.get(Role.REGISTER)
        return [] if register is None else [(register[0], control.kick(room, register[1]))]
