"""Clients that send a gateway anything: requests of recorded calls, mutated, out of order, on the wrong handles.

Used by test_fuzz.py for a moment and by benchmarks/fuzz.py for as long as it is asked to.
"""

import asyncio
import base64
import contextlib
import copy
import gzip
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from tests.gateway.inside import Inside
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    TEXTROOM,
    VIDEOROOM,
    listener_display,
    participant_display,
    stream_display,
)

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
SETTLES_WITHIN_SECS = 60.0
"""Leaves are rows, and the disk may be busy with others."""
PAUSE_EVERY = 25
"""Requests that a client sends before it waits for an answer."""
_ODD: tuple[Any, ...] = (None, True, False, 0, -1, 2**53, 1.5, "", "x", "\0", [], {}, [[]], {"a": {}}, "é" * 50)
_WORDS = (
    *("join", "configure", "start", "pause", "switch", "leave", "unpublish", "setup", "ack", "restart", "hangup"),
    *("create", "destroy", "kick", "mute", "moderate", "list", "listparticipants", "changeroom", "joinandconfigure"),
    *("publish", "enable_recording", "rtp_forward", "edit", "allowed", "exists", "self-unmute", "suspend", "resume"),
)
_KINDS = ("message", "trickle", "detach", "hangup", "attach", "keepalive", "create", "destroy", "claim", "info", "x")
_FITTING: dict[str, tuple[str, ...]] = {
    "register": (),
    "mixer": ("configure",),
    "listener": (),
    "publisher": ("configure", "configure", "configure", "unpublish", "leave"),
    "subscriber": ("start", "configure", "pause", "switch", "leave"),
    "text": ("ack", "setup"),
}
"""What may be asked on a handle of each role."""
_ROLES = ("register", "mixer", "listener", "publisher", "subscriber", "text")


def recorded_requests() -> list[dict[str, Any]]:
    """What browsers sent in the recorded calls."""
    found = []
    for path in sorted(TRANSCRIPTS.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            found += [line["m"] for line in map(json.loads, lines) if line["d"] == "C>S"]
    return found


@dataclass
class FuzzClient:
    """One socket after another. Everything it does follows from its random numbers and what is answered."""

    program: Inside
    room_id: str
    tokens: list[str]
    chance: random.Random
    recorded: list[dict[str, Any]]
    sent: int = 0
    sockets: int = 0
    closes: Counter[int | None] = field(default_factory=Counter)

    async def run(self, messages: int) -> None:
        """Send so many messages, over as many sockets as that takes."""
        end = self.sent + messages
        async with aiohttp.ClientSession() as http:
            while self.sent < end:
                await self._one_socket(http, end)

    async def _one_socket(self, http: aiohttp.ClientSession, end: int) -> None:
        url = f"{self.program.base_url.replace('http', 'ws')}/{self.room_id}/janus"
        self._session: int | None = None
        self._handles: list[int] = []
        self._participant = self._uuid()
        self._answers = 0
        self._plan = self._begin()
        self._roles: dict[int, str] = {}
        self._plugins: dict[int, str] = {}
        self._attached: dict[str, str] = {}  # plugin by transaction
        self._wild = self.chance.choice([0.0, 0.01, 0.3])
        self.sockets += 1
        async with http.ws_connect(url, protocols=("janus-protocol",)) as socket:
            reading = asyncio.create_task(self._read(socket))
            try:
                for _ in range(self.chance.randint(20, 600)):
                    if socket.closed or self.sent >= end:
                        break
                    with contextlib.suppress(ConnectionError):
                        await socket.send_str(self._next())
                    self.sent += 1
                    answers = self._answers
                    if self._plan or self.sent % PAUSE_EVERY == 0:
                        for _ in range(50):
                            if self._answers > answers or socket.closed:
                                break
                            await asyncio.sleep(0.002)
            finally:
                if self.chance.random() < 0.3:
                    transport = socket._response.connection and socket._response.connection.transport
                    if transport:
                        transport.abort()
                else:
                    await socket.close()
                await reading
                self.closes[socket.close_code] += 1

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(frame.data)
            self._answers += 1
            number = message.get("data", {}).get("id") if message.get("janus") == "success" else None
            if isinstance(number, int) and self._session is None:
                self._session = number
            elif isinstance(number, int):
                self._handles.append(number)
                self._plugins[number] = self._attached.get(message.get("transaction", ""), "")

    def _begin(self) -> list[str]:
        """The steps that most sockets begin with, so that what follows meets a participant."""
        if self.chance.random() < 0.1:
            return []
        steps = ["create", "attach audiobridge", "register"]
        if self.chance.random() < 0.8:
            steps += ["attach videoroom", "listener", "attach audiobridge", "mixer", "attach videoroom", "publisher"]
        return steps[: self.chance.randint(3, len(steps))] if self.chance.random() < 0.9 else ["create"]

    def _next(self) -> str:
        if self._plan:
            return json.dumps(self._step(self._plan.pop(0)))
        if self.chance.random() >= self._wild:
            return json.dumps(self._sensible())
        draw = self.chance.random()
        if draw < 0.01:
            return self.chance.choice(["", "{", "[]", "null", '"x"', "[" * 2000, "{" + '"a":{' * 500])
        if draw < 0.35:
            message = copy.deepcopy(self.chance.choice(self.recorded))
            self._localize(message)
        else:
            message = self._made_up()
        if self.chance.random() < 0.5:
            self._mutate(message)
        return json.dumps(message)

    def _sensible(self) -> dict[str, Any]:
        """Something that a handle of ours may be asked, which goes on to Janus."""
        if not self._handles or self.chance.random() < 0.05:
            plugin = self.chance.choice([AUDIOBRIDGE, VIDEOROOM, VIDEOROOM, TEXTROOM])
            request = self._request("attach", plugin=plugin)
            self._attached[request["transaction"]] = plugin
            return request
        handle = self.chance.choice(self._handles)
        draw = self.chance.random()
        if draw < 0.1:
            return self._request("hangup", handle_id=handle)
        if draw < 0.2:
            return self._request("trickle", handle_id=handle, candidate={"completed": True})
        if draw < 0.25 and self._roles.get(handle) != "register":
            self._handles.remove(handle)
            return self._request("detach", handle_id=handle)
        return self._fitting(handle)

    def _fitting(self, handle: int) -> dict[str, Any]:
        """A request that fits the handle's role, which a handle without one gets by it."""
        role = self._roles.get(handle)
        if role is None:
            role = self._free_role(handle)
            if role is None:
                return self._request("keepalive")
            self._roles[handle] = role
            return self._request("message", handle_id=handle, body=self._join(role))
        if not _FITTING[role]:
            return self._request("keepalive")
        body: dict[str, Any] = {"request": self.chance.choice(_FITTING[role])}
        if body["request"] == "switch":
            body["feed"] = self.chance.getrandbits(50) + 1
        message = self._request("message", handle_id=handle, body=body)
        kind = {"mixer": "offer", "publisher": "offer"}.get(role, "answer")
        if body["request"] in ("configure", "ack", "start") and self.chance.random() < 0.5:
            message["jsep"] = self.chance.choice(
                [one["jsep"] for one in self.recorded if one.get("jsep", {}).get("type") == kind]
            )
        return message

    def _free_role(self, handle: int) -> str | None:
        """A role that this handle may take now."""
        by_plugin = {
            AUDIOBRIDGE: ("register", "mixer"),
            VIDEOROOM: ("listener", "publisher", "subscriber"),
            TEXTROOM: ("text",),
        }
        taken = {self._roles.get(one) for one in self._handles}
        free = [
            one
            for one in by_plugin.get(self._plugins.get(handle, ""), ())
            if one in ("publisher", "subscriber") or one not in taken
        ]
        if "register" not in taken:
            free = [one for one in free if one in ("register", "text")]
        return self.chance.choice(free) if free else None

    def _step(self, step: str) -> dict[str, Any]:
        if step == "create":
            return self._request("create")
        if step.startswith("attach"):
            request = self._request("attach", plugin=f"janus.plugin.{step.split()[1]}")
            self._attached[request["transaction"]] = request["plugin"]
            return request
        if self._handles:
            self._roles[self._handles[-1]] = step
        return self._request("message", handle_id=self._handles[-1] if self._handles else 1, body=self._join(step))

    def _request(self, kind: str, **members: Any) -> dict[str, Any]:
        transaction = f"t{self.chance.getrandbits(48):x}"
        message = {"janus": kind, "transaction": transaction, "client_token": self.tokens[0], **members}
        return message if self._session is None else {**message, "session_id": self._session}

    def _made_up(self) -> dict[str, Any]:
        kind = self.chance.choice(_KINDS if self.chance.random() < 0.1 else ("message",) * 6 + ("trickle", "hangup"))
        if kind == "attach" or self.chance.random() < 0.05:
            return self._request("attach", plugin=self.chance.choice([AUDIOBRIDGE, VIDEOROOM, TEXTROOM]))
        if self.chance.random() < 0.02:
            return self._request("detach", handle_id=self._handle())
        message = self._request(kind, handle_id=self._handle())
        if kind == "trickle":
            message["candidate"] = {"completed": True}
        if kind == "message":
            if self.chance.random() < 0.5:
                message["body"] = self._join(self.chance.choice(_ROLES))
            else:
                message["body"] = {"request": self.chance.choice(_WORDS), "room": self.room_id}
            if self.chance.random() < 0.15:
                shown = self.chance.choice(self.recorded)
                if "jsep" in shown:
                    message["jsep"] = shown["jsep"]
        return message

    def _join(self, role: str) -> dict[str, Any]:
        own = self._participant if self.chance.random() < 0.97 else self._uuid()
        match role:
            case "register":
                return {"request": "join", "display": participant_display(own, "fuzz"), "muted": True}
            case "mixer":
                return {"request": "join", "display": stream_display("audiobridge", own)}
            case "listener":
                return {"request": "join", "ptype": "publisher", "display": listener_display(own)}
            case "publisher":
                shown = stream_display(f"s{self.chance.randint(0, 9)}", own, stream_id=self._uuid())
                return {"request": "join", "ptype": "publisher", "display": shown}
            case "subscriber":
                feed = self.chance.getrandbits(self.chance.randint(1, 54))
                return {"request": "join", "ptype": "subscriber", "feed": feed}
        return {"request": "setup"}

    def _localize(self, message: dict[str, Any]) -> None:
        """Put our session, handles, token and participant in the place of the recorded ones."""
        message["client_token"] = self.tokens[0]
        message["transaction"] = f"t{self.chance.getrandbits(48):x}"
        if "session_id" in message and self._session is not None:
            message["session_id"] = self._session
        if "handle_id" in message:
            message["handle_id"] = self._handle()
        body = message.get("body")
        if isinstance(body, dict):
            if "room" in body:
                body["room"] = self.room_id
            if "display" in body:
                body["display"] = self._join(self.chance.choice(_ROLES[:4]))["display"]
        if message["janus"] in ("destroy", "detach") and self.chance.random() < 0.9:
            message["janus"] = "keepalive"

    def _mutate(self, message: dict[str, Any]) -> None:
        """Change one member, wherever it is."""
        target: Any = message
        while True:
            key = self.chance.choice(list(target)) if target else None
            if key is None:
                return
            if isinstance(target[key], dict) and self.chance.random() < 0.7:
                target = target[key]
                continue
            break
        draw = self.chance.random()
        if draw < 0.3:
            del target[key]
        elif draw < 0.5 and target is message:
            message["client_token"] = self.chance.choice(self.tokens)
        elif draw < 0.6:
            target[self.chance.choice(["id", "secret", "record", "admin_key", "token", "opaque_id", "apisecret"])] = "x"
        else:
            target[key] = self.chance.choice(_ODD)

    def _handle(self) -> int:
        if self._handles and self.chance.random() < 0.97:
            return self.chance.choice(self._handles)
        return self.chance.choice([0, 1, 2**52, self.chance.getrandbits(50)])

    def _uuid(self) -> str:
        return str(UUID(int=self.chance.getrandbits(128), version=4))


async def disagreements(program: Inside, room_id: str) -> list[str]:
    """Where Janus, the gateway and the rows do not say the same about who is in a room, once nothing is under way."""
    found: list[str] = ["never looked"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLES_WITHIN_SECS):
            while found:
                found = await _compare(program, room_id)
                if found:
                    await asyncio.sleep(0.1)
    return found


async def _compare(program: Inside, room_id: str) -> list[str]:
    present = await _present(program, room_id)
    rooms = [(media, members) for media, members in program.gateway.registry.open_rooms() if media.room_id == room_id]
    if not rooms:
        return [f"{name} is present without a connection" for name in present]
    ((_, members),) = rooms
    connected = {one.dialect.participant_id for one in members} - {None}
    found = [f"{name} is connected xor present" for name in connected ^ present]
    bridge = [_display(one["display"]) for one in await program.bridge(room_id)]
    registers = {shown["participantId"] for shown in bridge if "stream" not in shown}
    found += [f"{name} is listed xor present" for name in registers ^ present]
    videos = [_display(one["display"]) for one in await program.videos(room_id) if one.get("display")]
    for shown in bridge + videos:
        if shown["participantId"] not in present:
            found.append(f"{shown} is in a room and not present")
    names = {one["username"] for one in await program.texts(room_id)}
    found += [f"{name} is in the TextRoom and not present" for name in names - present]
    return found


async def _present(program: Inside, room_id: str) -> set[str]:
    present: set[str] = set()
    for session in await program.get(f"/v2/room_sessions?filter[room_id]={room_id}&filter[active]=true"):
        path = f"/v2/room_sessions/{session['id']}/participants?page[size]=250&page[number]={{}}"
        page = 1
        while people := await program.get(path.format(page)):
            present |= {one["id"] for one in people if one["left_at"] is None}
            page += 1
    return present


def _display(text: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(base64.b64decode(text))
    return shown
