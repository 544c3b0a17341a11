"""A pipeline of Pipecat takes part in a call: it receives a participant, answers, and stops when it is interrupted."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from portico.client import Event, Message, Participant, Room, Tone
from tests.client.ear import Ear
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer
from tests.waiting import until

if TYPE_CHECKING:
    from pipecat.utils.base_object import BaseObject

    from portico.client.pipecat import PorticoTransport

# Pipecat is imported by the tests: that takes a second in each process.

SPEECH_HERTZ = 440
LOUD = 0.3
TURNS = 3
STOPS_WITHIN_SECS = 0.2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A server with one version of Janus: pipelines do not depend on it."""
    with portico(tmp_path_factory.mktemp("pipecat") / "data") as server:
        yield server


def person(rooms: Rooms, room_id: str, name: str) -> Room:
    return Room.join(rooms.server.base_url, room_id, rooms.token(room_id), context={"name": name})


def bot(rooms: Rooms, room_id: str, **params: Any) -> "PorticoTransport":
    from portico.client.pipecat import PorticoParams, PorticoTransport

    both = PorticoParams(audio_in_enabled=True, audio_out_enabled=True, **params)
    return PorticoTransport(rooms.server.base_url, room_id, rooms.token(room_id), both)


def on(source: "BaseObject", take: Callable[..., None], *names: str) -> None:
    """Call `take` with the name and the arguments of each event of these names."""
    for name in names:

        async def handler(_: Any, *arguments: Any, name: str = name) -> None:
            take(name, *arguments)

        source.add_event_handler(name, handler)


async def named(room: Room, name: str) -> Participant:
    return await until(lambda: next((one for one in room.participants if one.name == name), None))


@pytest.mark.parametrize("separately", [False, True], ids=["mix", "tracks"])
async def test_a_bot_answers_after_a_turn_and_stops_when_interrupted(rooms: Rooms, separately: bool) -> None:
    """Times are measured at a third participant, who receives the bot's own stream."""
    from tests.client.pipeline import ANSWER_HERTZ, STOP_SECS, Answer, running

    room_id, answer, now = rooms.create(), Answer(), asyncio.get_running_loop().time
    transport = bot(rooms, room_id, audio_in_user_tracks=separately)
    voice = Tone(SPEECH_HERTZ, 0.0)
    turns, stops, whole = [], [], []
    async with person(rooms, room_id, "Anna") as anna, person(rooms, room_id, "Ben") as ben:
        await anna.publish(audio=voice)
        async with running(transport, answer), Ear((await named(ben, "Bot")).audio(), ANSWER_HERTZ) as ear:
            await ear.expect()
            for turn in range(TURNS + 1):
                voice.amplitude, began = LOUD, now()
                await answer.interrupted(turn + 1)
                await ear.expect()
                if turn:
                    stops.append(ear.last[ANSWER_HERTZ] - answer.interruptions[-1])
                    whole.append(ear.last[ANSWER_HERTZ] - began)
                voice.amplitude, ended = 0.0, now()
                turns.append(await ear.expect(ANSWER_HERTZ) - ended)
                await ear.continues(ANSWER_HERTZ)
    figures = f"turn {median(turns):.3f} s, of which the detector's silence is {STOP_SECS} s; interruption {stops}; "
    print(f"{figures}from the begin of the speech {median(whole):.3f} s")
    assert median(stops) < STOPS_WITHIN_SECS, stops


async def test_what_happens_in_the_room_reaches_the_program_and_the_pipeline(rooms: Rooms) -> None:
    from pipecat.frames.frames import EndFrame, OutputTransportMessageUrgentFrame

    from tests.client.pipeline import Answer, running

    room_id, answer, happened = rooms.create(), Answer(), list[tuple[Any, ...]]()
    transport = bot(rooms, room_id)

    def note(name: str, what: Any, *more: Any) -> None:
        happened.append((name, what.name if isinstance(what, Participant) else what, *more))

    on(transport, note, "on_first_participant_joined", "on_participant_joined", "on_participant_left", "on_app_message")

    async def until_happened(*one: Any) -> None:
        await until(lambda: one in happened, what=f"{one} in {happened}")

    async with person(rooms, room_id, "Ben") as ben, running(transport, answer) as worker:
        events = ben.events()
        await until_happened("on_first_participant_joined", "Ben")
        async with person(rooms, room_id, "Anna") as anna:
            await until_happened("on_participant_joined", "Anna")
            await anna.send("hello")
            text = {"type": "text", "payload": "hello"}
            await until_happened("on_app_message", text, anna.me.id)
            await until(lambda: text in answer.messages)
            await worker.queue_frame(OutputTransportMessageUrgentFrame(message="to all"))
            assert await message(events) == {"type": "text", "payload": "to all"}
            await transport.send_message({"mood": "good"}, ben.me.id)
            await transport.send_message("to Anna", anna.me.id)
            await transport.send_message({"type": "bye", "payload": 1})
            assert await message(events) == {"type": "app", "payload": {"mood": "good"}}
            assert await message(events) == {"type": "bye", "payload": 1}
        await until_happened("on_participant_left", "Anna", "left")
        assert happened.count(("on_first_participant_joined", "Ben")) == 1
        await worker.queue_frame(EndFrame())
        await until(lambda: not ben.participants, what="the bot leaves when its pipeline ends")


async def message(events: AsyncIterator[Event]) -> dict[str, Any]:
    """Wait for the next message of another participant."""
    async with asyncio.timeout(20):
        async for event in events:
            if isinstance(event, Message) and event.participant.name == "Bot":
                return event.content
    raise AssertionError("the events ended")


async def test_a_pipeline_ends_with_the_call(rooms: Rooms) -> None:
    from tests.client.pipeline import Answer, running

    room_id, happened = rooms.create(), list[str]()
    transport = bot(rooms, room_id)
    on(transport, happened.append, "on_connected", "on_disconnected")
    async with person(rooms, room_id, "Anna") as anna, running(transport, Answer()) as worker:
        await until(lambda: happened == ["on_connected"])
        (session,) = rooms.sessions(room_id)
        kicked = (await named(anna, "Bot")).id
        rooms.rest.rooms.sessions.actions.kick(session["id"], participants=[kicked])
        await until(worker.has_finished)
    assert happened == ["on_connected", "on_disconnected"]


async def test_a_refused_token_is_an_error_that_ends_the_pipeline(rooms: Rooms) -> None:
    from portico.client.pipecat import PorticoParams, PorticoTransport
    from tests.client.pipeline import Answer, running

    token = rooms.token(rooms.create())
    transport = PorticoTransport(rooms.server.base_url, rooms.create(), token, PorticoParams(audio_in_enabled=True))
    errors = list[str]()
    async with running(transport, Answer()) as worker:
        on(worker, lambda _, frame: errors.append(frame.error), "on_pipeline_error")
        await until(worker.has_finished)
    assert [error.rpartition(": ")[2] for error in errors] == ["The token is for another room."] * 2


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"audio_in_channels": 2}, "mono"),
        ({"audio_out_sample_rate": 24_000}, "resampled"),
        ({"video_out_enabled": True}, "no video"),
        ({"audio_out_destinations": ["other"]}, "no named destinations"),
    ],
)
def test_what_the_transport_cannot_do_is_refused(refused: dict[str, Any], why: str) -> None:
    from portico.client.pipecat import PorticoParams

    with pytest.raises(ValueError, match=why):
        PorticoParams(**refused)
