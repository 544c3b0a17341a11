"""Signing keys: which one signs, which are accepted, and until when after a rotation."""

from datetime import datetime, timedelta
from functools import partial

import pytest

from portico.core import tokens as core_tokens
from portico.core.errors import Forbidden, NotFound
from portico.db.engine import Database, Transaction
from portico.services import signing_keys, tokens
from portico.services.signing_keys import FILES, LINKS, SETTLE, TOKENS
from portico.services.tokens import TOKEN_KEY_OVERLAP
from tests.factories import NOW, a_room, an_account

HOUR = timedelta(hours=1)


def accepted(tx: Transaction, now: datetime, purpose: str = TOKENS) -> tuple[bytes, ...]:
    """The one that signs, then the others, an hour after their retirement at most."""
    return signing_keys.secrets_of(tx, purpose, now=now, overlap=HOUR)


async def test_a_new_key_signs_once_all_servers_know_it_and_the_former_is_accepted_meanwhile(
    database: Database,
) -> None:
    def check(tx: Transaction) -> None:
        signing_keys.ensure(tx, TOKENS, NOW)
        (first,) = accepted(tx, NOW)
        signing_keys.rotate(tx, TOKENS, now=NOW, void=False)
        _, second = accepted(tx, NOW)
        assert accepted(tx, NOW) == (first, second), "the new one is accepted already, and signs nothing yet"
        assert accepted(tx, NOW + SETTLE) == (second, first)
        assert accepted(tx, NOW + SETTLE + HOUR) == (second,)
        signing_keys.ensure(tx, TOKENS, NOW)
        assert len(accepted(tx, NOW + SETTLE)) == 2, "one more start changes nothing"

    await database.write(check)


async def test_rotated_again_and_again_each_is_accepted_for_its_time(database: Database) -> None:
    def check(tx: Transaction) -> None:
        signing_keys.ensure(tx, TOKENS, NOW)
        for number in range(3):
            signing_keys.rotate(tx, TOKENS, now=NOW + number * HOUR / 2, void=False)
        at = NOW + HOUR + SETTLE
        assert len(accepted(tx, at)) == 3, "the first one was retired an hour ago"
        assert len(set(accepted(tx, at))) == 3

    await database.write(check)


async def test_a_void_key_is_accepted_no_more_and_other_purposes_are_not_concerned(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for purpose in (TOKENS, LINKS, FILES):
            signing_keys.ensure(tx, purpose, NOW)
        links = accepted(tx, NOW, LINKS)
        signing_keys.rotate(tx, TOKENS, now=NOW, void=False)
        former = accepted(tx, NOW)
        signing_keys.rotate(tx, TOKENS, now=NOW, void=True)
        (new,) = accepted(tx, NOW)
        assert new not in former
        assert accepted(tx, NOW, LINKS) == links

    await database.write(check)


async def test_a_clock_that_was_set_back_leaves_a_key_that_signs(database: Database) -> None:
    def check(tx: Transaction) -> None:
        signing_keys.ensure(tx, TOKENS, NOW)
        assert len(accepted(tx, NOW - HOUR)) == 1
        signing_keys.rotate(tx, TOKENS, now=NOW, void=False)
        assert len(accepted(tx, NOW - HOUR)) == 2

    await database.write(check)


async def test_before_the_first_start_there_is_none(database: Database) -> None:
    with pytest.raises(LookupError):
        await database.read(partial(tokens.read_keys, now=NOW))


async def test_tokens_outlive_a_rotation_and_not_one_that_makes_them_void(database: Database) -> None:
    def check(tx: Transaction) -> None:
        keys = tokens.load_keys(tx, NOW)
        account_id, room_id = an_account(tx), a_room(tx)
        longest = partial(tokens.generate, account_id=account_id, room_id=room_id, refresh_token_ttl_secs=86400)
        made = longest(tx, keys, now=NOW)
        assert made.refresh_token is not None
        signing_keys.rotate(tx, TOKENS, now=NOW, void=False)
        last_moment = NOW + timedelta(seconds=86399)
        keys.replace_with(tokens.read_keys(tx, last_moment))
        renewed = tokens.refresh(tx, keys, room_id, made.refresh_token, now=last_moment, token_ttl_secs=3600)
        assert core_tokens.verify(renewed.token, "access", keys.accepted[:1], room_id=room_id, now=last_moment)
        keys.replace_with(tokens.read_keys(tx, NOW + SETTLE + TOKEN_KEY_OVERLAP))
        assert len(keys.accepted) == 1
        signing_keys.rotate(tx, TOKENS, now=NOW, void=True)
        keys.replace_with(tokens.read_keys(tx, NOW))
        with pytest.raises(Forbidden, match="signature"):
            tokens.refresh(tx, keys, room_id, made.refresh_token, now=NOW)

    await database.write(check)


async def test_a_rotated_key_of_meeting_links_makes_all_of_them_void(database: Database) -> None:
    def check(tx: Transaction) -> None:
        keys = tokens.load_keys(tx, NOW)
        room_id = a_room(tx)
        link = tokens.invite(keys, room_id)
        signing_keys.rotate(tx, LINKS, now=NOW, void=True)
        keys.replace_with(tokens.read_keys(tx, NOW))
        with pytest.raises(NotFound):
            tokens.redeem(tx, keys, room_id, link, now=NOW)
        assert tokens.redeem(tx, keys, room_id, tokens.invite(keys, room_id), now=NOW).token

    await database.write(check)
