"""Which changes a browser receives, and when: step by step, and against a model of how the SDK processes messages."""

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from portico.signaling.effects import Effect, ScheduleDue, ToClient, ToJanus
from portico.signaling.pacing import GOES_ON_SECS, HELD_MAX, SETTLES_SECS, Pacing
from portico.signaling.subscribing import NOTHING
from tests.signaling.conversation import AUDIOBRIDGE, ROOM, VIDEOROOM, Conversation, listener_display, to_client

LISTENER, REGISTER = 11, 12  # handles on which a browser receives changes of a room
FIRST, SECOND = 21, 22  # handles on which it subscribes
ANNA, BEN = 31, 32  # feeds


def event(sender: int = LISTENER, plugin: str = "videoroom", **content: Any) -> dict[str, Any]:
    return {"janus": "event", "sender": sender, "plugindata": {"data": {plugin: "event", **content}}}


def sent(effects: list[Effect]) -> list[dict[str, Any]]:
    assert all(isinstance(effect, ToClient) for effect in effects)
    return to_client(effects)


def offered(handle: int = FIRST, feed: int = ANNA) -> Pacing:
    pacing = Pacing()
    pacing.subscribe(handle, feed)
    assert pacing.offered(handle) == ScheduleDue(handle, GOES_ON_SECS)
    return pacing


def started(handle: int = FIRST, feed: int = ANNA) -> Pacing:
    pacing = offered(handle, feed)
    assert pacing.start(handle)
    assert pacing.started(handle) == ScheduleDue(handle, SETTLES_SECS)
    return pacing


class TestSubscriptions:
    def test_an_offer_after_the_end_of_its_stream_is_replaced(self) -> None:
        pacing = Pacing()
        pacing.subscribe(FIRST, ANNA)
        end = event(unpublished=ANNA)
        assert sent(pacing.deliver(end)) == [end]
        assert pacing.offered(FIRST) is None

    @pytest.mark.parametrize("how", ["unpublished", "kicked"])
    def test_an_end_waits_while_the_offer_is_taken_in(self, how: str) -> None:
        pacing = offered()
        end, after = event(LISTENER, "videoroom", **{how: ANNA}), event(publishers=[])
        assert pacing.deliver(end) == pacing.deliver(after) == []
        assert not pacing.start(FIRST)
        assert sent(pacing.settled(FIRST)) == [end, after]
        assert sent(pacing.deliver(after)) == [after]

    def test_an_end_after_the_request_to_start_is_sent_and_the_start_is_not(self) -> None:
        pacing = offered()
        assert pacing.start(FIRST)
        end = event(unpublished=ANNA)
        assert sent(pacing.deliver(end)) == [end]
        assert pacing.started(FIRST) is None

    def test_an_end_waits_while_the_start_is_taken_in(self) -> None:
        pacing = started()
        end = event(unpublished=ANNA)
        assert pacing.deliver(end) == []
        assert sent(pacing.due(FIRST)) == [end]

    def test_after_that_nothing_waits(self) -> None:
        pacing = started()
        assert pacing.due(FIRST) == []
        end = event(unpublished=ANNA)
        assert sent(pacing.deliver(end)) == [end]

    def test_a_browser_that_does_not_start_receives_it_all_the_same_and_cannot_start_any_more(self) -> None:
        pacing = offered()
        end = event(unpublished=ANNA)
        pacing.deliver(end)
        assert sent(pacing.due(FIRST)) == [end]
        assert not pacing.start(FIRST)

    def test_a_browser_that_starts_late_can_start(self) -> None:
        pacing = offered()
        assert pacing.due(FIRST) == []
        assert pacing.start(FIRST)

    def test_other_streams_ends_do_not_wait(self) -> None:
        pacing = started()
        end = event(unpublished=BEN)
        assert sent(pacing.deliver(end)) == [end]

    def test_what_comes_from_elsewhere_does_not_wait(self) -> None:
        pacing = started()
        pacing.deliver(event(unpublished=ANNA))
        leaving = event(REGISTER, "audiobridge", leaving=ANNA)
        assert sent(pacing.deliver(leaving)) == [leaving]

    def test_each_end_waits_for_its_own_subscription(self) -> None:
        pacing = started()
        pacing.subscribe(SECOND, BEN)
        pacing.offered(SECOND)
        annas, between, bens = event(unpublished=ANNA), event(publishers=[]), event(unpublished=BEN)
        for message in (annas, between, bens):
            assert pacing.deliver(message) == []
        assert sent(pacing.due(FIRST)) == [annas, between]
        assert sent(pacing.settled(SECOND)) == [bens]

    def test_a_stream_whose_end_waits_for_others_is_gone_too(self) -> None:
        pacing = started()
        pacing.subscribe(SECOND, BEN)
        assert pacing.deliver(event(unpublished=ANNA)) == pacing.deliver(event(unpublished=BEN)) == []
        assert pacing.offered(SECOND) is None


class TestRosters:
    @pytest.mark.parametrize(
        "change", [{"unpublished": ANNA}, {"id": ANNA, "display": "x"}, {"id": ANNA, "audio-moderation": "muted"}]
    )
    def test_a_change_waits_until_the_roster_is_taken_in(self, change: dict[str, Any]) -> None:
        pacing = Pacing()
        pacing.roster_sent(LISTENER)
        message = event(**change)
        assert pacing.deliver(message) == []
        assert sent(pacing.next_step()) == [message]
        assert sent(pacing.deliver(message)) == [message]

    def test_a_browser_that_does_not_go_on_receives_it_all_the_same(self) -> None:
        pacing = Pacing()
        assert pacing.roster_sent(LISTENER) == ScheduleDue(LISTENER, GOES_ON_SECS)
        message = event(unpublished=ANNA)
        assert pacing.deliver(message) == []
        assert sent(pacing.due(LISTENER)) == [message]

    @pytest.mark.parametrize("how", ["leaving", "kicked"])
    def test_so_does_a_leave(self, how: str) -> None:
        pacing = Pacing()
        pacing.roster_sent(REGISTER)
        message = event(REGISTER, "audiobridge", **{how: 5})
        assert pacing.deliver(message) == []
        assert sent(pacing.due(REGISTER)) == [message]

    def test_who_comes_and_who_talks_does_not_wait(self) -> None:
        pacing = Pacing()
        pacing.roster_sent(LISTENER)
        pacing.roster_sent(REGISTER)
        new, talk = event(publishers=[{"id": ANNA}]), event(REGISTER, "audiobridge")
        talk["plugindata"]["data"]["audiobridge"] = "talking"
        assert sent(pacing.deliver(new)) == [new]
        pacing.deliver(event(REGISTER, "audiobridge", leaving=5))
        assert sent(pacing.deliver(talk)) == [talk]

    def test_who_is_kicked_receives_it_at_once(self) -> None:
        pacing = Pacing()
        pacing.roster_sent(REGISTER)
        other, own = (event(REGISTER, "audiobridge", kicked=number) for number in (5, 6))
        assert pacing.deliver(other) == []
        assert sent(pacing.stop()) == [other]
        assert sent(pacing.deliver(own)) == [own]


@pytest.mark.parametrize("ends_first", [True, False])
def test_what_waits_is_bounded_and_a_stream_is_gone_all_the_same(ends_first: bool) -> None:
    pacing = offered()
    pacing.roster_sent(LISTENER)
    ends = [event(unpublished=ANNA), *(event(unpublished=number) for number in range(1000, 1000 + HELD_MAX))]
    messages = ends if ends_first else ends[::-1]
    assert [each for message in messages for each in sent(pacing.deliver(message))] == messages
    assert not pacing.start(FIRST)


class Sdk(RuleBasedStateMachine):
    """A browser with the SDK's habits and a VideoRoom, and the dialect between them.

    Events are processed when they arrive; answers by a timer, in any order with them. When the roster is processed, the
    SDK takes its next step. A ScheduleDue is due when the answer has been processed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.talk = Conversation().join()
        self.alive: set[int] = set()  # in Janus
        self.asked: deque[tuple[int, str, str, int]] = deque()  # what Janus has to answer: handle, request, id, feed
        self.answers: list[dict[str, Any]] = []  # received, and not processed by the browser yet
        self.streams: set[int] = set()  # in the SDK's state
        self.ending: set[int] = set()  # their ends were received, and are looked after by the next timer
        self.subscribed: dict[int, int] = {}  # feed by handle, in the SDK's state
        self.wanted: dict[int, int] = {}  # feed by handle, of promises that have not settled
        self.next_feed = 100
        self.connected = False

    @initialize(there=st.integers(0, 3))
    def join_the_videoroom(self, there: int) -> None:
        for _ in range(there):
            self.alive.add(self.new_feed())
        self.listener = self.talk.attach(VIDEOROOM)
        body = {"request": "join", "room": ROOM.room_id, "ptype": "publisher", "display": listener_display()}
        self.talk.ask(self.listener, body)
        publishers = [{"id": feed} for feed in self.alive]
        self.take(self.talk.reply(self.listener, {"videoroom": "joined", "publishers": publishers}))

    def new_feed(self) -> int:
        self.next_feed += 1
        return self.next_feed

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case ToClient(message) if "transaction" in message:
                    if message["janus"] == "event":
                        self.answers.append(message)
                case ToClient(message):
                    self.process(message["plugindata"]["data"])
                case ToJanus(message) if message["janus"] == "message":
                    handle, request = message["handle_id"], message["body"]["request"]
                    feed = message["body"].get("feed", 0)
                    self.asked.append((handle, request, message["transaction"], feed))

    def process(self, content: dict[str, Any]) -> None:
        self.streams |= {each["id"] for each in content.get("publishers", [])}
        if (feed := content.get("unpublished")) in self.streams:
            self.ending.add(feed)
            for handle in [handle for handle, subscribed in self.subscribed.items() if subscribed == feed]:
                self.take(self.talk.say("detach", handle_id=handle))
                del self.subscribed[handle]

    @rule()
    def publish(self) -> None:
        feed = self.new_feed()
        self.alive.add(feed)
        self.take(self.talk.announce(self.listener, {"videoroom": "event", "publishers": [{"id": feed}]}))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        feed = data.draw(st.sampled_from(sorted(self.alive)))
        self.alive.remove(feed)
        self.take(self.talk.announce(self.listener, {"videoroom": "event", "unpublished": feed}))

    @precondition(lambda self: self.connected and self.streams - self.ending)
    @rule(data=st.data())
    def subscribe(self, data: st.DataObject) -> None:
        feed = data.draw(st.sampled_from(sorted(self.streams - self.ending)))
        handle = self.talk.attach(VIDEOROOM)
        self.wanted[handle] = feed
        self.take(self.talk.ask(handle, {"request": "join", "ptype": "subscriber", "feed": feed}))

    @precondition(lambda self: self.asked)
    @rule()
    def answer(self) -> None:
        handle, request, transaction, feed = self.asked.popleft()
        content: dict[str, Any] = {"videoroom": "event", "started": "ok"}
        jsep = {}
        if request == "join":
            content = {"videoroom": "attached", "id": feed}
            jsep = {"jsep": {"type": "offer", "sdp": "v=0"}}
            if feed not in self.alive:
                content, jsep = {"videoroom": "event", "error_code": 428, "error": "No such feed"}, {}
        message = {"janus": "event", "sender": handle, "transaction": transaction, "plugindata": {"data": content}}
        self.take(self.talk.from_janus(**message, **jsep))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def take_in(self, data: st.DataObject) -> None:
        """One of the loops that wait for answers comes round."""
        self.take_in_answer(data.draw(st.integers(0, len(self.answers) - 1)))

    def take_in_answer(self, number: int) -> None:
        message = self.answers.pop(number)
        handle, content = message["sender"], message["plugindata"].get("data")
        if handle == self.listener:
            self.streams |= {each["id"] for each in content["publishers"]}
            self.take(self.talk.say("attach", plugin=AUDIOBRIDGE))
            self.connected = True
        elif content is None or message.get("jsep") == NOTHING:
            del self.wanted[handle]
        else:
            feed = self.wanted[handle]
            assert feed in self.streams, "Invalid state update!"
            if "jsep" in message:
                answer = {"type": "answer", "sdp": "v=0"}
                self.take(self.talk.ask(handle, {"request": "start", "room": ROOM.room_id}, jsep=answer))
            else:
                del self.wanted[handle]
                self.subscribed[handle] = feed

    @precondition(lambda self: self.ending)
    @rule()
    def look_after_ends(self) -> None:
        """The SDK's timer that waits for the subscription to have gone, before it forgets the stream."""
        assert not self.ending & set(self.subscribed.values()), "waits for ever"
        self.streams -= self.ending
        self.ending.clear()

    @rule()
    def time_passes(self) -> None:
        unanswered = {message["sender"] for message in self.answers}
        for handle in sorted(self.talk.later.keys() - unanswered):
            del self.talk.later[handle]
            self.take(self.talk.settle(self.talk.dialect.due(handle)))

    def teardown(self) -> None:
        while self.asked or self.answers or self.ending or self.talk.later:
            while self.asked:
                self.answer()
            while self.answers:
                self.take_in_answer(0)
            if self.ending:
                self.look_after_ends()
            self.time_passes()
        assert self.streams == self.alive, "a ghost"
        assert not self.wanted, "a promise that never settles"
        assert set(self.subscribed.values()) <= self.alive


Sdk.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40, deadline=None)
TestSdk = Sdk.TestCase
