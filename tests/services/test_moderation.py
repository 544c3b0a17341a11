"""Ending, kicking and muting as facts, on both databases: which participants change, what is written, what is kept."""

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from portico.core.errors import NotFound, SessionOver
from portico.core.targets import Targets
from portico.core.tokens import Claims
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import clock, moderation, participants, rooms, sessions, tokens
from portico.services.participants import Joined
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, fact_names, facts, gateway_of, row, rows

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(seconds=61, milliseconds=900)
ALL = Targets(None)


def some(*people: Joined) -> Targets:
    return Targets(frozenset(one.participant_id for one in people))


def all_but(*people: Joined) -> Targets:
    return Targets(None, frozenset(one.participant_id for one in people))


def a_meeting(tx: Transaction, count: int = 3, **settings: object) -> tuple[str, list[Joined]]:
    """The account, and so many people in a room of its own."""
    room_id = a_room(tx, **settings)  # type: ignore[arg-type]
    return an_account(tx), [a_participant(tx, room_id, context=f"person {n}") for n in range(count)]


def present(tx: Transaction, people: list[Joined]) -> list[bool]:
    return [row(tx, schema.room_participants, one.participant_id).left_at is None for one in people]


def muted(tx: Transaction, people: list[Joined]) -> list[bool]:
    return [row(tx, schema.room_participants, one.participant_id).audio_muted for one in people]


Choice = Callable[[list[Joined]], Targets]
CHOICES: list[tuple[str, Choice, list[bool]]] = [
    ("all", lambda _: ALL, [True, True, True]),
    ("some", lambda people: some(people[0], people[2]), [True, False, True]),
    ("all but one", lambda people: all_but(people[1]), [True, False, True]),
    (
        "listed and excluded",
        lambda people: Targets(some(*people).listed, some(people[0]).listed or frozenset()),
        [False, True, True],
    ),
    ("no participant", lambda _: Targets(frozenset()), [False, False, False]),
    ("unknown ids", lambda _: Targets(frozenset({str(uuid4())})), [False, False, False]),
    ("all but unknown ids", lambda _: Targets(None, frozenset({str(uuid4())})), [True, True, True]),
]


@pytest.mark.parametrize(("choose", "meant"), [each[1:] for each in CHOICES], ids=[each[0] for each in CHOICES])
async def test_which_participants_an_action_means(database: Database, choose: Choice, meant: list[bool]) -> None:
    def act(tx: Transaction) -> None:
        account_id, people = a_meeting(tx)
        session_id = people[0].session_id
        moderation.set_muted(tx, account_id, session_id, choose(people), muted=True, now=LATER)
        assert muted(tx, people) == meant
        moderation.kick(tx, account_id, session_id, choose(people), now=LATER)
        assert present(tx, people) == [not each for each in meant]

    await database.write(act)


async def test_participants_who_left_or_are_elsewhere_do_not_change(database: Database) -> None:
    def act(tx: Transaction) -> None:
        account_id, people = a_meeting(tx)
        _, others = a_meeting(tx)
        gone = people[0]
        participants.leave(tx, gone.participant_id, "left", now=NOW + SECOND)
        before = row(tx, schema.room_participants, gone.participant_id)
        targets = some(*people, *others)
        moderation.set_muted(tx, account_id, gone.session_id, targets, muted=True, now=LATER)
        moderation.kick(tx, account_id, gone.session_id, targets, now=LATER)
        assert row(tx, schema.room_participants, gone.participant_id) == before
        assert present(tx, others) == [True] * 3
        assert muted(tx, others) == [False] * 3

    await database.write(act)


async def test_a_kick_is_a_leave_with_its_own_reason(database: Database) -> None:
    def kick(tx: Transaction) -> None:
        account_id, people = a_meeting(tx)
        victim, room_id = people[1], people[0].room_id
        moderation.kick(tx, account_id, victim.session_id, some(victim), now=LATER)
        gone = row(tx, schema.room_participants, victim.participant_id)
        assert (gone.left_at, gone.left_reason, gone.updated_at) == (LATER, "kicked", LATER)
        assert fact_names(tx, room_id) == ["session.started", *["participant.joined"] * 3, "participant.left"]
        assert facts(tx, room_id)[-1][1] == {
            "session_id": victim.session_id,
            "room_id": room_id,
            "participant_id": victim.participant_id,
            "context": "person 1",
            "duration_secs": 61,
            "left_reason": "kicked",
        }
        session = row(tx, schema.room_sessions, victim.session_id)
        assert (session.active, session.empty_at) == (True, None)
        assert not participants.leave(tx, victim.participant_id, "timeout", now=LATER + SECOND)

    await database.write(kick)


@pytest.mark.parametrize("action", ["kick", "mute", "end"])
async def test_what_waited_for_the_lock_happens_after_what_it_waited_for(database: Database, action: str) -> None:
    def act(tx: Transaction) -> None:
        room_id = a_room(tx)
        early = a_participant(tx, room_id)
        session_id, account_id = early.session_id, an_account(tx)
        late = a_participant(tx, room_id, now=NOW + SECOND)
        then = NOW + SECOND / 2  # when the request arrived that gets the lock only now
        match action:
            case "kick":
                moderation.kick(tx, account_id, session_id, some(late), now=then)
            case "mute":
                moderation.set_muted(tx, account_id, session_id, ALL, muted=True, now=then)
            case "end":
                moderation.end(tx, account_id, session_id, now=then)
        found = row(tx, schema.room_participants, late.participant_id)
        assert found.updated_at >= found.joined_at
        assert found.left_at is None or found.left_at >= found.joined_at
        session = row(tx, schema.room_sessions, session_id)
        assert session.ended_at is None or session.ended_at >= found.left_at
        times = [each.occurred_at for each in sorted(rows(tx, schema.events, room_id=room_id), key=lambda e: e.seq)]
        assert times == sorted(times)

    await database.write(act)


async def test_no_participant_joins_before_the_session_began(database: Database) -> None:
    def act(tx: Transaction) -> None:
        room_id = a_room(tx)
        first, second = a_participant(tx, room_id, now=NOW + SECOND), a_participant(tx, room_id, now=NOW)
        assert first.session_id == second.session_id
        began = row(tx, schema.room_sessions, first.session_id).created_at
        assert row(tx, schema.room_participants, second.participant_id).joined_at == began == NOW + SECOND

    await database.write(act)


async def test_a_kick_frees_a_seat_at_once(database: Database) -> None:
    def kick(tx: Transaction) -> None:
        account_id, people = a_meeting(tx, 2, max_participants=2)
        moderation.kick(tx, account_id, people[0].session_id, some(people[0]), now=LATER)
        again = a_participant(tx, people[0].room_id, now=LATER)
        assert again.session_id == people[0].session_id

    await database.write(kick)


async def test_a_session_that_was_kicked_empty_ends_after_the_grace(database: Database) -> None:
    def kick(tx: Transaction) -> None:
        account_id, people = a_meeting(tx)
        session_id, room_id, grace = people[0].session_id, people[0].room_id, timedelta(seconds=5)
        moderation.kick(tx, account_id, session_id, ALL, now=LATER)
        session = row(tx, schema.room_sessions, session_id)
        assert (session.active, session.empty_at) == (True, LATER)
        moderation.kick(tx, account_id, session_id, ALL, now=LATER + SECOND)
        assert row(tx, schema.room_sessions, session_id).empty_at == LATER, "kicking no participant begins no new grace"
        assert sessions.end_stale(tx, now=LATER + grace, grace=grace) == [room_id]
        assert fact_names(tx, room_id)[-4:] == ["participant.left"] * 3 + ["session.ended"]

    await database.write(kick)


async def test_muting_changes_the_row_once_and_is_no_event(database: Database) -> None:
    def mute(tx: Transaction) -> None:
        account_id, people = a_meeting(tx, 1)
        (one,) = people
        set_muted = partial(moderation.set_muted, tx, account_id, one.session_id, ALL)
        before = fact_names(tx, one.room_id)
        for flag, now, updated_at in [
            (False, NOW + SECOND, NOW),
            (True, NOW + 2 * SECOND, NOW + 2 * SECOND),
            (True, NOW + 3 * SECOND, NOW + 2 * SECOND),
            (False, NOW + 4 * SECOND, NOW + 4 * SECOND),
        ]:
            set_muted(muted=flag, now=now)
            found = row(tx, schema.room_participants, one.participant_id)
            assert (found.audio_muted, found.updated_at) == (flag, updated_at)
        assert fact_names(tx, one.room_id) == before

    await database.write(mute)


async def test_a_mute_ends_with_leaving(database: Database) -> None:
    def mute(tx: Transaction) -> None:
        account_id, people = a_meeting(tx, 2)
        moderation.set_muted(tx, account_id, people[0].session_id, ALL, muted=True, now=LATER)
        participants.leave(tx, people[0].participant_id, "left", now=LATER)
        back = a_participant(tx, people[0].room_id, now=LATER)
        assert muted(tx, [back]) == [False]

    await database.write(mute)


async def test_the_end_is_reported_with_its_reason(database: Database) -> None:
    def end(tx: Transaction) -> None:
        account_id, people = a_meeting(tx, 2)
        session_id, room_id = people[0].session_id, people[0].room_id
        moderation.end(tx, account_id, session_id, now=LATER)
        reported = facts(tx, room_id)[3:]
        assert [name for name, _ in reported] == ["participant.left", "participant.left", "session.ended"]
        assert {payload.get("left_reason") for _, payload in reported[:2]} == {"session_ended"}
        assert (reported[2][1]["ended_reason"], reported[2][1]["duration_secs"]) == ("Ended from API", 61)
        session = row(tx, schema.room_sessions, session_id)
        assert (session.active, session.ended_at, session.ended_reason) == (False, LATER, "Ended from API")
        assert {each.left_at for each in rows(tx, schema.room_participants)} == {LATER}
        assert a_participant(tx, room_id, now=LATER).session_id != session_id

    await database.write(end)


ACTIONS = [
    partial(moderation.kick, targets=ALL),
    partial(moderation.kick, targets=ALL, revoke=True),
    partial(moderation.set_muted, targets=ALL, muted=True),
    partial(moderation.set_muted, targets=ALL, muted=False),
    moderation.end,
]


@pytest.mark.parametrize("act", ACTIONS)
async def test_no_session_of_another_account_and_none_that_never_was(
    database: Database, act: Callable[..., None]
) -> None:
    def try_it(tx: Transaction) -> None:
        _, people = a_meeting(tx)
        foreign = an_account(tx, "other")
        for account_id, session_id in [(foreign, people[0].session_id), (an_account(tx), str(uuid4()))]:
            with pytest.raises(NotFound):
                act(tx, account_id=account_id, session_id=session_id, now=LATER)
        assert present(tx, people) == [True] * 3
        assert muted(tx, people) == [False] * 3

    await database.write(try_it)


@pytest.mark.parametrize("act", ACTIONS)
@pytest.mark.parametrize("ending", ["ended", "room deleted", "stale"])
async def test_nothing_is_done_to_a_session_that_is_over(
    database: Database, act: Callable[..., None], ending: str
) -> None:
    def try_it(tx: Transaction) -> None:
        account_id, people = a_meeting(tx, 1)
        (one,) = people
        match ending:
            case "ended":
                moderation.end(tx, account_id, one.session_id, now=NOW + SECOND)
            case "room deleted":
                rooms.delete(tx, account_id, one.room_id, now=NOW + SECOND)
            case "stale":
                participants.leave(tx, one.participant_id, "left", now=NOW)
                sessions.end_stale(tx, now=NOW + SECOND, grace=SECOND)
        before = rows(tx, schema.room_participants), facts(tx, one.room_id)
        with pytest.raises(SessionOver, match="No private_ip for room"):
            act(tx, account_id=account_id, session_id=one.session_id, now=LATER)
        assert (rows(tx, schema.room_participants), facts(tx, one.room_id)) == before

    await database.write(try_it)


# Revocation.


def claims(room_id: str, account_id: str, jti: str | None = None) -> Claims:
    return Claims(room_id, account_id, jti or str(uuid4()), NOW + timedelta(minutes=10))


def join_with(tx: Transaction, token: Claims) -> Joined:
    gateway_id = gateway_of(tx, token.room_id) or a_gateway(tx)
    return participants.join(tx, token.room_id, str(uuid4()), None, gateway_id=gateway_id, now=NOW, token=token)


@pytest.mark.parametrize("revoke", [True, False])
async def test_only_a_kick_that_says_so_revokes_and_only_what_the_kicked_have(database: Database, revoke: bool) -> None:
    def kick(tx: Transaction) -> None:
        room_id, account_id = a_room(tx), an_account(tx)
        hers, his = claims(room_id, account_id), claims(room_id, account_id)
        anna, ben = join_with(tx, hers), join_with(tx, his)
        moderation.kick(tx, account_id, anna.session_id, all_but(ben), revoke=revoke, now=LATER)
        assert tokens.is_revoked(tx, hers) is revoke
        assert not tokens.is_revoked(tx, his)
        assert present(tx, [anna, ben]) == [False, True]

    await database.write(kick)


async def test_a_token_that_is_shown_while_its_holder_is_kicked_is_revoked_in_any_order(database: Database) -> None:
    for _ in range(10):

        def meet(tx: Transaction) -> tuple[str, Joined, Claims]:
            room_id, account_id = a_room(tx), an_account(tx)
            anna = join_with(tx, claims(room_id, account_id))
            return account_id, anna, claims(room_id, account_id)

        account_id, anna, second = await database.write(meet)
        kick = partial(moderation.kick, account_id=account_id, session_id=anna.session_id, targets=ALL, revoke=True)
        show = partial(participants.show_token, participant_id=anna.participant_id, token=second)
        acts = [partial(kick, now=LATER), partial(show, now=LATER)]
        random.shuffle(acts)
        await asyncio.gather(*map(database.write, acts))
        assert await database.read(partial(tokens.is_revoked, claims=second))


async def test_all_participants_who_showed_a_revoked_token_leave(database: Database) -> None:
    """Also who was to stay: a token that is shared is revoked for all who share it."""

    def kick(tx: Transaction) -> None:
        room_id, account_id = a_room(tx), an_account(tx)
        shared, own, others = (claims(room_id, account_id) for _ in range(3))
        anna, ben, cleo = join_with(tx, shared), join_with(tx, own), join_with(tx, others)
        participants.show_token(tx, ben.participant_id, shared, now=NOW)
        moderation.kick(tx, account_id, anna.session_id, all_but(ben, cleo), revoke=True, now=LATER)
        present = sessions.present(tx, anna.session_id)
        assert [one.id for one in present] == [cleo.participant_id]
        assert tokens.is_revoked(tx, shared)
        assert not tokens.is_revoked(tx, own) and not tokens.is_revoked(tx, others)
        participants.show_token(tx, cleo.participant_id, shared, now=LATER)
        assert sessions.present(tx, anna.session_id) == []

    await database.write(kick)


async def test_a_kick_that_revokes_nothing_touches_no_token_that_is_shown_later(database: Database) -> None:
    def kick(tx: Transaction) -> None:
        room_id, account_id = a_room(tx), an_account(tx)
        own, other = claims(room_id, account_id), claims(room_id, account_id)
        cleo = join_with(tx, other)
        moderation.kick(tx, account_id, cleo.session_id, ALL, now=LATER)
        participants.show_token(tx, cleo.participant_id, own, now=LATER)
        assert not tokens.is_revoked(tx, other)
        assert not tokens.is_revoked(tx, own)

    await database.write(kick)


async def test_a_clock_that_is_years_ahead_makes_no_revoked_token_good_again(database: Database) -> None:
    def kick(tx: Transaction) -> None:
        room_id, account_id = a_room(tx), an_account(tx)
        shown = claims(room_id, account_id)
        anna = join_with(tx, shown)
        assert clock.held_until(tx, NOW, passed=None) is None
        for now in (NOW, NOW + timedelta(days=3650)):
            moderation.kick(tx, account_id, anna.session_id, ALL, revoke=True, now=now)
        assert tokens.is_revoked(tx, shown)
        assert clock.held_until(tx, NOW + timedelta(days=8), passed=None) is None
        moderation.kick(tx, account_id, anna.session_id, ALL, revoke=True, now=NOW + timedelta(days=8))
        assert not tokens.is_revoked(tx, shown), "it has expired long ago"

    await database.write(kick)
