"""Muting beside everything else that goes on: a model of Janus, a browser and an API in any order."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portico.signaling.effects import Close, Effect
from portico.signaling.wire import OWN_PREFIX
from tests.signaling.conversation import AUDIOBRIDGE, ROOM, Conversation, stream_display, to_janus

OFFER, ANSWER = {"type": "offer", "sdp": "v=0\r\n"}, {"type": "answer", "sdp": "v=0\r\n"}
FEED, MIXER_ID = 21, 12
TRACKS = [{"type": "audio", "mid": "0"}, {"type": "video", "mid": "1"}]
CONFIGURED = {"videoroom": "event", "configured": "ok"}


@dataclass
class Stream:
    """What a model of Janus knows of one publisher's handle."""

    feed: int
    on_air: bool = False
    moderated: bool = False
    up: bool = False
    ends_unreported: int = 0


@dataclass
class Janus:
    """As much of it as matters: requests of browsers wait in a queue, those of operators are applied at once."""

    queue: deque[dict[str, Any]] = field(default_factory=deque)
    answers: deque[dict[str, Any]] = field(default_factory=deque)
    streams: dict[int, Stream] = field(default_factory=dict)
    mixer: int | None = None
    in_mix: bool = False
    muted_in_mix: bool = False


class Interleaving(RuleBasedStateMachine):
    """A browser, the API and Janus do what they like in any order; once all is quiet, who is muted is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Conversation().join()
        self.janus = Janus()
        self.api_muted = False
        self.mic_off = False
        self.detached: set[int] = set()  # handles of which the browser asks nothing more; Janus may have them yet

    def carry(self, effects: list[Effect]) -> None:
        assert not any(isinstance(effect, Close) for effect in effects), effects
        for message in to_janus(effects):
            body = message.get("body", {})
            if message["transaction"].startswith(OWN_PREFIX):
                self.apply(message["handle_id"], body)
            elif message["janus"] == "message":
                self.janus.queue.append(message)
            elif message["janus"] in ("hangup", "detach"):
                self.end(message["handle_id"], reported=message["janus"] == "hangup")
                if message["janus"] == "detach":
                    del self.janus.streams[message["handle_id"]]

    def apply(self, handle: int, body: dict[str, Any]) -> None:
        match body["request"]:
            case "mute" | "unmute" if self.janus.in_mix:
                assert body["id"] == MIXER_ID
                self.janus.muted_in_mix = body["request"] == "mute"
            case "moderate":
                stream = self.janus.streams.get(handle)
                if stream is not None and stream.on_air:
                    assert (body["id"], body["mid"]) == (stream.feed, "0")
                    stream.moderated = body["mute"]

    def end(self, handle: int, *, reported: bool) -> None:
        stream = self.janus.streams.get(handle)
        if stream is not None and stream.on_air:
            stream.on_air = stream.up = stream.moderated = False
            stream.ends_unreported += reported

    @rule(muted=st.booleans())
    def api(self, muted: bool) -> None:
        self.api_muted = muted
        self.carry(self.talk.dialect.mute(muted))

    @precondition(lambda self: self.janus.mixer is None)
    @rule(muted=st.booleans())
    def join_mix(self, muted: bool) -> None:
        self.janus.mixer, self.mic_off = self.talk.attach(AUDIOBRIDGE), muted
        body = {"request": "join", "display": stream_display("audiobridge"), "muted": muted}
        self.carry(self.talk.ask(self.janus.mixer, body))

    @precondition(lambda self: self.janus.in_mix)
    @rule(muted=st.booleans() | st.none())
    def configure_mix(self, muted: bool | None) -> None:
        assert self.janus.mixer is not None
        self.mic_off = self.mic_off if muted is None else muted
        body = {"request": "configure"} if muted is None else {"request": "configure", "muted": muted}
        self.carry(self.talk.ask(self.janus.mixer, body))

    @precondition(lambda self: len(self.janus.streams) < 2)
    @rule()
    def new_publisher(self) -> None:
        handle = self.talk.publisher()
        self.janus.streams[handle] = Stream(FEED)

    @precondition(lambda self: self.janus.streams.keys() - self.detached)
    @rule(data=st.data(), request_=st.sampled_from(["configure", "configure", "unpublish", "hangup", "detach"]))
    def publisher(self, data: st.DataObject, request_: str) -> None:
        handle = data.draw(st.sampled_from(sorted(self.janus.streams.keys() - self.detached)))
        match request_:
            case "configure":
                body = {"request": "configure", "audio": True, "display": stream_display()}
                if not self.talk.dialect._state.wire.is_negotiating(
                    handle
                ):  # a second offer before the answer is refused
                    self.carry(self.talk.ask(handle, body, jsep=OFFER))
            case "unpublish":
                self.carry(self.talk.ask(handle, {"request": "unpublish"}))
            case _:
                if request_ == "detach":
                    self.detached.add(handle)
                self.carry(self.talk.say(request_, handle_id=handle))

    @precondition(lambda self: self.janus.queue)
    @rule()
    def process(self) -> None:
        message = self.janus.queue.popleft()
        handle, body = message["handle_id"], message["body"]
        answer: dict[str, Any] = {"transaction": message["transaction"], "sender": handle}
        if handle == self.janus.mixer:
            content: dict[str, Any] = {"audiobridge": "event", "result": "ok"}
            if body["request"] == "join":
                self.janus.in_mix = True
                content = {"audiobridge": "joined", "room": ROOM.video, "id": MIXER_ID, "participants": []}
            if "muted" in body:
                self.janus.muted_in_mix = body["muted"]
        elif (stream := self.janus.streams.get(handle)) is None:
            return
        elif body["request"] == "unpublish":
            self.end(handle, reported=stream.on_air)
            content = {"videoroom": "event", "unpublished": "ok"}
        else:
            stream.moderated = stream.moderated and stream.on_air
            stream.on_air = True
            content = {**CONFIGURED, "streams": TRACKS}
            answer["jsep"] = ANSWER
        self.janus.answers.append({"janus": "event", **answer, "plugindata": {"plugin": "any", "data": content}})

    @precondition(lambda self: self.janus.answers)
    @rule()
    def deliver(self) -> None:
        self.carry(self.talk.from_janus(**self.janus.answers.popleft()))

    @precondition(lambda self: self.janus.streams)
    @rule(data=st.data())
    def media(self, data: st.DataObject) -> None:
        """An end is reported, maybe late; a connection comes up, never before that."""
        handle = data.draw(st.sampled_from(sorted(self.janus.streams)))
        stream = self.janus.streams[handle]
        if stream.ends_unreported:
            stream.ends_unreported -= 1
            self.janus.answers.append({"janus": "hangup", "sender": handle, "reason": "Close PC"})
        elif stream.on_air and not stream.up:
            stream.up = True
            self.janus.answers.append({"janus": "webrtcup", "sender": handle})

    @invariant()
    def once_all_is_quiet_every_participant_is_as_loud_as_intended(self) -> None:
        if self.janus.queue or self.janus.answers:
            return
        if self.janus.in_mix:
            assert self.janus.muted_in_mix == (self.api_muted or self.mic_off)
        for stream in self.janus.streams.values():
            if stream.on_air:
                assert stream.moderated == self.api_muted

    def teardown(self) -> None:
        while self.janus.queue or self.janus.answers:
            if self.janus.queue:
                self.process()
            else:
                self.deliver()
        self.once_all_is_quiet_every_participant_is_as_loud_as_intended()


Interleaving.TestCase.settings = settings(
    max_examples=4 * settings().max_examples // 5, stateful_step_count=40, deadline=None
)
TestInterleaving = Interleaving.TestCase
