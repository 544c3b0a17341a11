"""Sends messages to a Dialect in the order of a real conversation, and returns the effects."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from portico.core.tokens import ALL_PERMISSIONS, Permissions
from portico.signaling.control import MediaRoom
from portico.signaling.dialect import Dialect
from portico.signaling.effects import Admit, CheckToken, Close, Effect, ScheduleDue, ToClient, ToJanus
from portico.signaling.stream_ids import StreamIds

ROOM = MediaRoom("7d949cff-e29e-4439-9c81-2fab619422a1", 1157178870889012, 2959755765929613, "operator-secret")
PARTICIPANT = "f809daa1-9f5b-438b-9139-1a589456bb50"
OTHER_PARTICIPANT = "54c85a3c-de96-4386-a260-1c0ff602464b"
STREAM = "f428f060-43f4-4a92-be8f-72e9436b1fff"
SESSION = 5868651862365810
TEXTROOM, AUDIOBRIDGE, VIDEOROOM = (f"janus.plugin.{name}" for name in ("textroom", "audiobridge", "videoroom"))


def encode(members: object) -> str:
    """A display as the SDK writes it."""
    return base64.b64encode(json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()).decode()


def participant_display(participant_id: str = PARTICIPANT, context: str = "Anna") -> str:
    return encode({"participantId": participant_id, "external": context, "canReceiveMessages": True})


Body = dict[str, Any]


def stream_display(
    key: str = "self",
    participant_id: str = PARTICIPANT,
    audio: bool = True,
    video: bool = True,
    *,
    stream_id: str = STREAM,
) -> str:
    stream = {"id": stream_id, "key": key, "isAudioEnabled": audio, "isVideoEnabled": video}
    return encode({"participantId": participant_id, "stream": stream})


def listener_display(participant_id: str = PARTICIPANT) -> str:
    return encode({"participantId": participant_id})


@dataclass
class Conversation:
    """A browser and a Janus on the two sides of a Dialect; checks are answered as a good server would."""

    dialect: Dialect = field(default_factory=Dialect)
    refuse_token: tuple[int, str] | None = None
    refuse_join: tuple[int, str] | None = None
    room: MediaRoom = ROOM
    streams: StreamIds = field(default_factory=StreamIds)
    permissions: Permissions = ALL_PERMISSIONS
    max_participants: int = 50
    ice_servers: list[dict[str, Any]] = field(default_factory=list)
    admitted: list[Admit] = field(default_factory=list)
    later: dict[int, float] = field(default_factory=dict)  # seconds, by handle
    _transactions: int = 0
    _handles: int = 0

    def say(self, kind: str, **members: Any) -> list[Effect]:
        """The browser sends a request; what is ordered after the checks it causes."""
        self._transactions += 1
        message = {"janus": kind, "transaction": f"t{self._transactions}", "client_token": "good", **members}
        if kind != "create":
            message.setdefault("session_id", SESSION)
        return self.settle(self.dialect.from_client(message))

    def from_janus(self, **members: Any) -> list[Effect]:
        """Janus sends a message."""
        return self.settle(self.dialect.from_janus({"session_id": SESSION, **members}))

    def answer(self, kind: str = "success", **members: Any) -> list[Effect]:
        """Janus answers the newest request."""
        return self.from_janus(janus=kind, transaction=f"t{self._transactions}", **members)

    def reply(self, sender: int, content: dict[str, Any], **members: Any) -> list[Effect]:
        """A plugin answers the newest request."""
        plugindata = {"plugin": "any", "data": content}
        return self.answer("event", sender=sender, plugindata=plugindata, **members)

    def announce(self, sender: int, content: dict[str, Any]) -> list[Effect]:
        """A plugin sends an event that answers no request."""
        return self.from_janus(janus="event", sender=sender, plugindata={"plugin": "any", "data": content})

    def settle(self, effects: list[Effect]) -> list[Effect]:
        done: list[Effect] = []
        for effect in effects:
            match effect:
                case CheckToken(token):
                    verdict = self.dialect.token_refused(*self.refuse_token) if self.refuse_token else None
                    accepted = (
                        self.dialect.token_accepted(token, self.room, self.streams, self.permissions, self.ice_servers)
                        if verdict is None
                        else []
                    )
                    done += self.settle(verdict or accepted)
                case Admit():
                    self.admitted.append(effect)
                    verdict = self.dialect.refused(*self.refuse_join) if self.refuse_join else None
                    done += self.settle(self.dialect.admitted(self.max_participants) if verdict is None else verdict)
                case ScheduleDue(handle, secs):
                    self.later[handle] = secs
                case _:
                    done.append(effect)
        return done

    @property
    def newest(self) -> str:
        """The transaction of the newest request."""
        return f"t{self._transactions}"

    def time_passes(self) -> list[Effect]:
        """As much as was asked for."""
        handles, self.later = list(self.later), {}
        return [effect for handle in handles for effect in self.settle(self.dialect.due(handle))]

    # Steps of the SDK.

    def create(self) -> None:
        self.say("create")
        self.answer(data={"id": SESSION})

    def attach(self, plugin: str) -> int:
        self._handles += 1
        number = 1000 + self._handles
        self.say("attach", plugin=plugin)
        self.answer(data={"id": number})
        return number

    def ask(self, handle: int, body: dict[str, Any], **members: Any) -> list[Effect]:
        return self.say("message", handle_id=handle, body=body, **members)

    def join(self) -> "Conversation":
        """Up to the point at which the participant is in the room."""
        self.create()
        register = self.attach(AUDIOBRIDGE)
        body = {"request": "join", "room": ROOM.room_id, "display": participant_display(), "muted": True}
        self.ask(register, body)
        self.reply(register, {"audiobridge": "joined", "room": self.room.video, "id": 11, "participants": []})
        assert self.time_passes() == []
        return self

    def mixer(self) -> int:
        handle = self.attach(AUDIOBRIDGE)
        body = {"request": "join", "room": ROOM.room_id, "display": stream_display("audiobridge"), "muted": False}
        self.ask(handle, body)
        self.reply(handle, {"audiobridge": "joined", "room": self.room.video, "id": 12, "participants": []})
        return handle

    def publisher(self) -> int:
        handle = self.attach(VIDEOROOM)
        body = {"request": "join", "room": ROOM.room_id, "ptype": "publisher", "display": stream_display()}
        self.ask(handle, body)
        self.reply(handle, {"videoroom": "joined", "room": self.room.video, "id": 21, "publishers": []})
        return handle

    def subscriber(self, feed: int = 77, **tracks: bool) -> int:
        handle = self.attach(VIDEOROOM)
        self.ask(handle, {"request": "join", "room": ROOM.room_id, "ptype": "subscriber", "feed": feed, **tracks})
        return handle


def to_janus(effects: list[Effect]) -> list[dict[str, Any]]:
    return [effect.message for effect in effects if isinstance(effect, ToJanus)]


def to_client(effects: list[Effect]) -> list[dict[str, Any]]:
    return [effect.message for effect in effects if isinstance(effect, ToClient)]


def refusal(effects: list[Effect]) -> int | None:
    """The status code, when these effects refuse and close; None when they do not."""
    match effects:
        case [ToClient({"status_code": int(status)}), Close()]:
            return status
    assert not any(isinstance(effect, Close) for effect in effects)
    return None
