"""Whatever browsers and Janus say, in whatever order: invariants of the dialect."""

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from portico.signaling.dialect import PENDING_MAX, Dialect
from portico.signaling.effects import Admit, CheckToken, Close, Effect, ToClient, ToJanus
from portico.signaling.wire import OWN_PREFIX
from tests.signaling.conversation import (
    AUDIOBRIDGE,
    OTHER_PARTICIPANT,
    PARTICIPANT,
    ROOM,
    SESSION,
    TEXTROOM,
    VIDEOROOM,
    Conversation,
    listener_display,
    participant_display,
    stream_display,
    to_janus,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
DISPLAYS = st.sampled_from(
    [
        display
        for who in (PARTICIPANT, OTHER_PARTICIPANT)
        for display in (
            participant_display(who),
            listener_display(who),
            stream_display("self", who),
            stream_display("audiobridge", who),
        )
    ]
)
WORDS = st.sampled_from(
    [
        *("setup", "ack", "join", "configure", "start", "unpublish", "leave", "switch", "pause", "kick", "create"),
        *("destroy", "list", "edit", "moderate", "enable_recording", "rtp_forward", "listparticipants", "mute"),
    ]
)
BODIES = st.fixed_dictionaries(
    {"request": WORDS},
    optional={
        "display": DISPLAYS | JSON,
        "ptype": st.sampled_from(["publisher", "subscriber"]) | JSON,
        "feed": st.integers(0, 2**60) | JSON,
        "room": st.just(ROOM.room_id) | st.just(4711) | JSON,
        "audio": st.booleans() | JSON,
        "video": st.booleans() | JSON,
        "muted": st.booleans() | JSON,
        "bitrate": st.integers(-5, 10**9) | JSON,
        "secret": st.text(),
        "admin_key": st.text(),
        "filename": st.just("../../etc/passwd"),
        "record": st.just(True),
        "id": st.integers(),
        "pin": st.text(),
        "volume": st.just(100),
    },
)
FORBIDDEN = {"secret", "admin_key", "filename", "record", "id", "pin", "rec_dir", "token", "client_token", "apisecret"}


class Talk(RuleBasedStateMachine):
    """A browser that sends anything, and a Janus that answers as it likes."""

    handles = Bundle("handles")
    transactions = Bundle("transactions")

    def __init__(self) -> None:
        super().__init__()
        self.talk = Conversation()
        self.talk.create()
        self.number = 0
        self.over = False
        self.next_handle = 100

    def check(self, effects: list[Effect], asked: bool) -> None:
        if self.over:
            assert effects == []
            return
        if asked:
            assert effects or self.talk.newest in self.waiting(), "a request went unanswered"
        for place, effect in enumerate(effects):
            match effect:
                case ToJanus(message):
                    self.check_sent(message)
                case Close():
                    self.over = True
                    assert place == len(effects) - 1

    def waiting(self) -> dict[str, int | None]:
        """The requests that wait for an answer to an earlier one, with their handles."""
        pending = self.talk.dialect._state.wire.pending.items()
        return {transaction: one.handle for transaction, one in pending if one.kind == "waiting"}

    def check_sent(self, message: dict[str, Any]) -> None:
        assert message["session_id"] == SESSION
        body = message.get("body", {})
        assert not FORBIDDEN & (body.keys() | message.keys())
        assert body.get("room", ROOM.video) == ROOM.video
        assert body.get("request", "join") in {
            *("setup", "ack", "join", "configure", "start", "unpublish", "leave", "switch", "pause")
        }
        assert body.get("bitrate", 0) <= 10_000_000
        if "display" in body:
            assert OTHER_PARTICIPANT not in base64.b64decode(body["display"]).decode()

    @rule(target=handles, plugin=st.sampled_from([TEXTROOM, AUDIOBRIDGE, VIDEOROOM]))
    def attach(self, plugin: str) -> Any:
        self.next_handle += 1
        self.check(self.talk.say("attach", plugin=plugin), asked=True)
        self.check(self.talk.answer(data={"id": self.next_handle}), asked=False)
        return self.next_handle

    @rule(target=transactions, handle=handles, body=BODIES)
    def request(self, handle: int, body: dict[str, Any]) -> Any:
        if "display" in body and body.get("request") == "join" and self.talk.dialect.participant_id is None:
            body = {**body, "display": participant_display()}
        self.check(self.talk.ask(handle, body), asked=True)
        return (handle, f"t{self.talk._transactions}")

    @rule(handle=handles, candidate=JSON)
    def trickle(self, handle: int, candidate: Any) -> None:
        self.check(self.talk.say("trickle", handle_id=handle, candidate=candidate), asked=True)

    @rule(handle=consumes(handles))
    def detach(self, handle: int) -> None:
        self.check(self.talk.say("detach", handle_id=handle), asked=True)
        self.check(self.talk.say("detach", handle_id=handle), asked=True)

    @rule(
        asked=consumes(transactions),
        content=st.dictionaries(st.sampled_from(["error_code", "x"]), st.integers(420, 430)),
    )
    def reply(self, asked: tuple[int, str], content: dict[str, Any]) -> None:
        message = {"janus": "event", "transaction": asked[1], "sender": asked[0]}
        self.check(self.talk.from_janus(**message, plugindata={"plugin": "p", "data": content}), asked=False)

    @rule(asked=consumes(transactions))
    def fail(self, asked: tuple[int, str]) -> None:
        message = {"janus": "error", "transaction": asked[1], "error": {"code": 460, "reason": "because"}}
        self.check(self.talk.from_janus(**message), asked=False)

    @invariant()
    def bounded(self) -> None:
        assert len(self.talk.dialect._state.wire.pending) <= PENDING_MAX

    @invariant()
    def nothing_waits_without_need(self) -> None:
        wire = self.talk.dialect._state.wire
        hanging_up = {number for number, handle in wire.handles.items() if handle.hangs_up}
        assert self.over or set(self.waiting().values()) <= wire.busy_handles() | hanging_up

    @invariant()
    def one_identity(self) -> None:
        assert len(self.talk.admitted) <= 1
        assert self.talk.dialect.participant_id in (None, PARTICIPANT)


Talk.TestCase.settings = settings(max_examples=2 * settings().max_examples // 5, stateful_step_count=30, deadline=None)
TestTalk = Talk.TestCase


@given(st.lists(JSON, max_size=5))
def test_garbage_never_raises_and_never_reaches_janus(messages: list[object]) -> None:
    dialect = Dialect()
    for message in messages:
        for effect in dialect.from_client(message):
            assert isinstance(effect, ToClient | Close | CheckToken)


@given(st.dictionaries(st.sampled_from(["janus", "transaction", "handle_id", "body", "plugin", "candidate"]), JSON))
def test_garbage_after_joining_never_raises_and_carries_nothing_forbidden(members: dict[str, Any]) -> None:
    talk = Conversation().join()
    talk.publisher()
    message = {"transaction": "x", "client_token": "good", **members}
    effects = talk.dialect.from_client(message)
    assert effects
    assert not any(isinstance(effect, Admit) for effect in effects)
    for sent in to_janus(effects):
        assert not sent["transaction"].startswith(OWN_PREFIX)
