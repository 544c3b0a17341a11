"""Text messages over the data channel: to all participants, and to one."""

import pytest

from tests.e2e.conftest import Call

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_message_to_all_and_to_one(call: Call) -> None:
    anna, ben, cleo = await call.gather(3)
    await anna.send("hello, all of you")
    to_all = {"type": "text", "payload": "hello, all of you"}
    for person in (anna, ben, cleo):  # the sender receives their own broadcast
        await person.wait_for("message_received", anna.id, to_all, [])
    await anna.send("only for Ben", to=ben)
    to_ben = {"type": "text", "payload": "only for Ben"}
    await ben.wait_for("message_received", anna.id, to_ben, [ben.id])
    await anna.send("the end")  # messages keep their order: a message that did not arrive before this one never will
    await cleo.wait_for("message_received", anna.id, {"type": "text", "payload": "the end"})
    assert not cleo.happened("message_received", anna.id, to_ben)


async def test_every_participant_can_answer(call: Call) -> None:
    anna, ben = await call.gather(2)
    for sender, reader in ((anna, ben), (ben, anna)):
        await sender.send(f"from {sender.name}: äöü 😀")
        await reader.wait_for("message_received", sender.id, {"type": "text", "payload": f"from {sender.name}: äöü 😀"})


async def test_messages_do_not_reach_other_rooms(call: Call) -> None:
    await call.create_room()
    anna, first_room = await call.join(), call.room_id
    await call.create_room()
    ben = await call.join()
    await ben.send("in the second room")
    await ben.wait_for("message_received", ben.id)
    call.room_id = first_room
    cleo = await call.join()
    await cleo.send("in the first room")
    await anna.wait_for("message_received", cleo.id)
    assert not anna.happened("message_received", ben.id)
    assert ben.id not in await anna.roster()
