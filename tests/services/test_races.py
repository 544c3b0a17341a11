"""Many at once, from one process and from several, on both databases: limits hold exactly, no event is sent twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from portico.core.errors import JoinRefused, NotFound, PorticoError, SessionOver
from portico.core.targets import Targets
from portico.core.tokens import Claims
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import api_keys, gateways, meetings, moderation, participants, rooms, sessions, tokens
from tests.db.processes import others
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, fact_names, facts, gateway_of, row, rows

PLACES = 10
RACERS = 60
ROUNDS = 4
PROCESSES = 4
RACERS_OF_ALL = 200
ROUNDS_OF_ALL = 5
SECS = 60.0
GRACE = timedelta(seconds=5)
Write = Callable[[Transaction], Any]


@pytest_asyncio.fixture
async def second(database_url: str, database: Database) -> AsyncIterator[Database]:
    """Another instance on the same database, as another process has it."""
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def test_sixty_race_for_a_room_of_ten(database: Database) -> None:
    gateway_id = await database.write(a_gateway)
    for _ in range(ROUNDS):
        room_id = await database.write(partial(a_room, max_participants=PLACES))
        outcomes = await _race(database, (_join(room_id, gateway_id) for _ in range(RACERS)))
        assert Counter(outcomes) == {"Joined": PLACES, "RoomFull": RACERS - PLACES}
        await database.read(partial(_is_exactly_full, room_id=room_id))


async def test_two_hundred_from_four_processes_race_for_a_room_of_ten(database_url: str, database: Database) -> None:
    async for room_id, outcomes in races_from_elsewhere(database_url, database, ROUNDS_OF_ALL):
        assert Counter(outcomes) == {"Joined": PLACES, "RoomFull": RACERS_OF_ALL - PLACES}
        await database.read(partial(_is_exactly_full, room_id=room_id))


async def races_from_elsewhere(url: str, database: Database, rounds: int) -> AsyncIterator[tuple[str, list[str]]]:
    """Let all processes join a new room in each round; yield its id and the outcome of each join."""
    await database.write(a_room)  # the account
    with others(PROCESSES, race_from_elsewhere, url) as racers:
        for racer in racers:
            assert await asyncio.to_thread(racer.ask) == "ready"
        for _ in range(rounds):
            room_id = await database.write(partial(a_room, max_participants=PLACES))
            gateway_id = await database.write(a_gateway)  # the one that all processes write through
            for racer in racers:
                racer.pipe.send((room_id, gateway_id))
            yield room_id, [outcome for racer in racers for outcome in await asyncio.to_thread(racer.ask)]
        for racer in racers:
            racer.pipe.send(None)


def race_from_elsewhere(url: str, pipe: "Connection[Any, Any]") -> None:
    """In the other process: for each room that is named, its share of the racers at once."""

    async def race() -> None:
        database = open_database(url)
        pipe.send("ready")
        while (room := pipe.recv()) is not None:
            room_id, gateway_id = room
            share = RACERS_OF_ALL // PROCESSES
            pipe.send(await _race(database, (_join(room_id, gateway_id) for _ in range(share))))
        await database.close()

    asyncio.run(race())


async def test_coming_and_going_never_exceeds_the_limit(database: Database, second: Database) -> None:
    room_id, gateway_id = await database.write(lambda tx: (a_room(tx, max_participants=3), a_gateway(tx)))

    async def come_and_go(n: int) -> None:
        mine = (database, second)[n % 2]
        for _ in range(4):
            try:
                joined = await mine.write(_join(room_id, gateway_id))
            except JoinRefused:
                continue
            assert await mine.write(
                partial(participants.leave, participant_id=joined.participant_id, reason="left", now=NOW)
            )

    async with asyncio.timeout(SECS):
        await asyncio.gather(*map(come_and_go, range(20)))

    def check(tx: Transaction) -> None:
        present, names = 0, fact_names(tx, room_id)
        for name in names:
            present += {"participant.joined": 1, "participant.left": -1}.get(name, 0)
            assert 0 <= present <= 3
        assert present == 0
        assert names[0] == "session.started"
        assert names.count("session.started") == 1

    await database.read(check)


@pytest.mark.parametrize("room_count", [1, 4])
async def test_of_many_with_one_identity_one_is_admitted(database: Database, second: Database, room_count: int) -> None:
    for _ in range(ROUNDS):
        room_ids, gateway_id, identity = [], await database.write(a_gateway), str(uuid4())
        for _ in range(room_count):
            room_ids.append(await database.write(partial(a_room, max_participants=50)))
        joins = [_join(room_ids[n % room_count], gateway_id, identity) for n in range(20)]
        outcomes = await _race(database, joins[:10], second, joins[10:])
        assert Counter(outcomes) == {"Joined": 1, "IdentityTaken": 19}
        assert len(await database.read(partial(rows, table=schema.room_participants, id=identity))) == 1
        active = await database.read(partial(rows, table=schema.room_sessions, active=True))
        begun = [session for session in active if session.room_id in room_ids]
        assert len(begun) == 1, "a refused join began a session"


async def test_of_many_who_end_a_session_one_does(database: Database, second: Database) -> None:
    for _ in range(ROUNDS):
        room_id, joined = await database.write(_occupied_room)
        end: Write = partial(
            sessions.end,
            session_id=joined.session_id,
            ended_reason="Ended from API",
            left_reason="session_ended",
            now=NOW,
        )
        outcomes = await _race(database, [end] * 10, second, [end] * 10)
        assert Counter(outcomes) == {"NoneType": 1, SessionOver.__name__: 19}
        assert (await database.read(partial(fact_names, room_id=room_id)))[2:] == ["participant.left", "session.ended"]


async def test_of_many_leaves_of_one_participant_one_counts(database: Database, second: Database) -> None:
    for _ in range(ROUNDS):
        room_id, joined = await database.write(_occupied_room)
        leaves: list[Write] = [
            partial(participants.leave, participant_id=joined.participant_id, reason=reason, now=NOW)
            for reason in ["left", "kicked", "timeout"] * 4
        ]
        outcomes = await asyncio.gather(*map(database.write, leaves[:6]), *map(second.write, leaves[6:]))
        assert sorted(outcomes) == [False] * 11 + [True]
        assert (await database.read(partial(fact_names, room_id=room_id))).count("participant.left") == 1


async def test_a_kick_that_revokes_races_with_joins_of_the_same_token(database: Database, second: Database) -> None:
    """A join with a revoked token is either first, and kicked with the others, or refused."""
    for _ in range(ROUNDS):
        room_id, watcher = await database.write(_occupied_room)
        account_id = await database.write(an_account)
        gateway_id = await database.read(partial(gateway_of, room_id=room_id))
        assert gateway_id is not None
        token = Claims(room_id, account_id, str(uuid4()), NOW + timedelta(minutes=10))
        joins: list[Write] = [
            partial(
                participants.join,
                room_id=room_id,
                participant_id=str(uuid4()),
                context=None,
                gateway_id=gateway_id,
                now=NOW,
                token=token,
            )
            for _ in range(9)
        ]
        await database.write(joins[0])
        all_but_the_watcher = Targets(None, frozenset({watcher.participant_id}))
        kick: Write = partial(
            moderation.kick,
            account_id=account_id,
            session_id=watcher.session_id,
            targets=all_but_the_watcher,
            revoke=True,
            now=NOW,
        )
        outcomes = await _race(database, [*joins[1:3], kick, *joins[3:5]], second, joins[5:])
        assert Counter(outcomes)["NoneType"] == 1
        assert set(outcomes) <= {"NoneType", "Joined", "TokenRevoked"}
        present = await database.read(partial(rows, table=schema.room_participants, room_id=room_id, left_at=None))
        assert [each.id for each in present] == [watcher.participant_id]
        assert (await _race(database, joins[1:2])) in (["TokenRevoked"], ["IdentityTaken"])


async def test_of_many_kicks_each_participant_leaves_once(database: Database, second: Database) -> None:
    for _ in range(ROUNDS):
        room_id, joined = await database.write(_occupied_room)
        account_id = await database.write(an_account)
        kick: Write = partial(
            moderation.kick, account_id=account_id, session_id=joined.session_id, targets=Targets(None), now=NOW
        )
        leave: Write = partial(participants.leave, participant_id=joined.participant_id, reason="left", now=NOW)
        assert set(await _race(database, [kick] * 5 + [leave], second, [leave] + [kick] * 5)) == {"NoneType", "bool"}
        assert (await database.read(partial(fact_names, room_id=room_id))).count("participant.left") == 1


async def test_a_room_deleted_while_people_join_is_empty(database: Database, second: Database) -> None:
    for _ in range(ROUNDS):
        room_id, _ = await database.write(_occupied_room)
        account_id = await database.write(an_account)
        gateway_id = await database.read(partial(gateway_of, room_id=room_id))
        assert gateway_id is not None
        joins = [_join(room_id, gateway_id) for _ in range(8)]
        delete: Write = partial(rooms.delete, account_id=account_id, room_id=room_id, now=NOW)
        outcomes = await _race(database, [*joins[:4], delete, *joins[4:]], second, [delete, *joins[4:]])
        assert Counter(outcomes)[NotFound.__name__] == 1, "of two deletions one finds the room"
        await database.read(partial(_is_over, room_id=room_id))


async def test_an_empty_session_ends_or_goes_on_and_never_both(database: Database, second: Database) -> None:
    for _ in range(ROUNDS):
        room_id, joined = await database.write(_occupied_room)
        await database.write(partial(participants.leave, participant_id=joined.participant_id, reason="left", now=NOW))
        gateway_id = await database.write(a_gateway)
        sweep: Write = partial(sessions.end_stale, now=NOW + GRACE, grace=GRACE)
        await _race(database, [_join(room_id, gateway_id), sweep], second, [sweep, sweep])

        def check(tx: Transaction, room_id: str = room_id) -> None:
            (present,) = rows(tx, schema.room_participants, room_id=room_id, left_at=None)
            assert row(tx, schema.room_sessions, present.session_id).active, (
                "a participant is in a session that is over"
            )
            names = fact_names(tx, room_id)
            assert names.count("session.started") - names.count("session.ended") == 1

        await database.read(check)


async def test_sweeps_from_everywhere_close_everything_once(database: Database, second: Database) -> None:
    """Dead gateways, stale sessions and lost media, swept by several at once over the same rooms."""

    def crowd(tx: Transaction) -> list[str]:
        room_ids = [a_room(tx) for _ in range(12)]
        for n in range(4):
            gateway_id = a_gateway(tx)
            for room_id in room_ids[n::4]:
                a_participant(tx, room_id, gateway_id=gateway_id)
        return room_ids

    room_ids = await database.write(crowd)
    dead = await database.read(gateways.all_gateways)
    reap: Write = partial(gateways.reap, dead=dead, now=NOW, limit=5)
    stale: Write = partial(sessions.end_stale, now=NOW + GRACE, grace=GRACE, limit=5)
    lost: Write = partial(sessions.end_all_in, room_ids=room_ids[::3], ended_reason="stale", now=NOW + GRACE)
    for _ in range(5):
        outcomes = await _race(database, [reap, stale, lost, reap], second, [stale, reap, lost, stale])
        assert set(outcomes) <= {"int", "list"}, "no write fails"
    for room_id in room_ids:
        await database.read(partial(_is_over, room_id=room_id))


async def test_the_first_start_of_many_processes_makes_everything_once(database: Database, second: Database) -> None:
    """Each replica begins with these steps; on an empty database they meet in them."""

    def start(tx: Transaction) -> tuple[bytes, str]:
        keys = tokens.load_keys(tx, NOW)
        api_keys.admit(tx, "KEY-of-the-setting", api_keys.DEFAULT_ACCOUNT, NOW)
        return keys.invite, meetings.first_room(tx, NOW)

    starts = [each.write(start) for each in (database, second) for _ in range(4)]
    async with asyncio.timeout(SECS):
        started = await asyncio.gather(*starts, return_exceptions=True)
    assert [result for result in started if isinstance(result, BaseException)] == []
    assert len(set(map(repr, started))) == 1
    for table, expected in [(schema.signing_keys, 2), (schema.accounts, 1), (schema.api_keys, 1), (schema.rooms, 1)]:
        assert len(await database.read(partial(rows, table=table))) == expected


async def test_many_keys_for_a_new_account_at_once(database: Database, second: Database) -> None:
    create: Write = partial(api_keys.create, account_name="new", now=NOW)
    outcomes = await _race(database, [create] * 5, second, [create] * 5)
    assert Counter(outcomes) == {"str": 10}
    assert len(await database.read(partial(rows, table=schema.accounts))) == 1


async def _race(
    database: Database, writes: Iterable[Write], other: Database | None = None, others_writes: Iterable[Write] = ()
) -> list[str]:
    """Run all writes at once. For each: the name of the type that it returned, or of the error that refused it."""
    running = [database.write(fn) for fn in writes]
    if other is not None:
        running += [other.write(fn) for fn in others_writes]
    async with asyncio.timeout(SECS):
        results = await asyncio.gather(*running, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, PorticoError):
            raise result
    return [type(result).__name__ for result in results]


def _join(room_id: str, gateway_id: str, identity: str | None = None) -> Callable[[Transaction], participants.Joined]:
    return partial(a_participant, room_id=room_id, gateway_id=gateway_id, participant_id=identity or str(uuid4()))


def _occupied_room(tx: Transaction) -> tuple[str, participants.Joined]:
    room_id = a_room(tx)
    return room_id, a_participant(tx, room_id)


def _is_exactly_full(tx: Transaction, room_id: str) -> None:
    (session,) = rows(tx, schema.room_sessions, room_id=room_id)
    assert session.active
    present = rows(tx, schema.room_participants, room_id=room_id, left_at=None)
    assert len(present) == PLACES
    assert {each.session_id for each in present} == {session.id}
    recorded = facts(tx, room_id)
    assert [name for name, _ in recorded] == ["session.started"] + ["participant.joined"] * PLACES
    assert {payload["participant_id"] for _, payload in recorded[1:]} == {each.id for each in present}


def _is_over(tx: Transaction, room_id: str) -> None:
    """No participant is in, no session is active, and every fact has its counterpart, once."""
    assert rows(tx, schema.room_sessions, room_id=room_id, active=True) == []
    assert rows(tx, schema.room_participants, room_id=room_id, left_at=None) == []
    recorded = facts(tx, room_id)
    for begun, ended, member in [
        ("session.started", "session.ended", "session_id"),
        ("participant.joined", "participant.left", "participant_id"),
    ]:
        first, last = (
            sorted(payload[member] for name, payload in recorded if name == which) for which in (begun, ended)
        )
        assert first == last
        assert len(set(first)) == len(first)
