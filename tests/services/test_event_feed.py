"""Following events: in order, everything once, also what commits after a greater number."""

from functools import partial
from typing import Any

from portico.db.engine import Database, Transaction
from portico.services import event_feed
from portico.services.event_feed import GAP_SECS, Position
from tests.factories import a_participant, a_room, an_event


async def follow(database: Database, position: Position, now: float = 0.0) -> tuple[list[int], Position]:
    found, position = await database.read(partial(event_feed.following, position=position, now=now))
    return [row.seq for row in found], position


async def test_what_is_recorded_afterwards_comes_in_order(database: Database) -> None:
    def join(tx: Transaction) -> str:
        room_id = a_room(tx)
        a_participant(tx, room_id)
        return room_id

    await database.write(join)
    position = await database.read(event_feed.newest)
    assert await follow(database, position) == ([], position)
    room_id = await database.write(join)
    found, position = await database.read(partial(event_feed.following, position=position, now=0.0))
    assert [(row.event_type, row.room_id) for row in found] == [
        ("video.room.session.started", room_id),
        ("video.room.participant.joined", room_id),
    ]
    assert (await follow(database, position))[0] == []


async def test_a_smaller_number_may_come_later(database: Database) -> None:
    room_id = await database.write(a_room)
    position = await database.read(event_feed.newest)

    async def recorded(*seqs: int) -> None:
        def write(tx: Transaction) -> Any:
            for seq in seqs:
                an_event(tx, seq, room_id)

        await database.write(write)

    await recorded(1, 4)
    found, position = await follow(database, position)
    assert found == [1, 4]
    await recorded(3, 5)
    found, position = await follow(database, position, now=1.0)
    assert found == [3, 5]
    assert set(position.gaps) == {2}
    found, position = await follow(database, position, now=GAP_SECS + 1)
    assert (found, position.gaps) == ([], {}), "the number 2 was rolled back"


async def test_thousands_come_in_parts(database: Database) -> None:
    def write(tx: Transaction) -> None:
        room_id = a_room(tx)
        for seq in range(1, event_feed.POLL_MAX + 3):
            an_event(tx, seq, room_id)
        an_event(tx, 1_000_000, room_id)

    await database.write(write)
    first, position = await follow(database, Position(0, {}))
    second, position = await follow(database, position)
    assert [*first, *second] == [*range(1, event_feed.POLL_MAX + 3), 1_000_000]
    assert len(position.gaps) <= event_feed.GAPS_MAX
