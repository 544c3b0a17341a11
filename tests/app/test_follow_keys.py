"""Signing keys that another process replaced are in use here soon, whatever the database does meanwhile."""

import asyncio
from functools import partial

from structlog.testing import capture_logs

from portico.app.follow_keys import FollowKeys
from portico.db.engine import Database
from portico.services import files, signing_keys, tokens
from tests.factories import NOW

WITHIN_SECS = 30.0


async def test_replaced_keys_take_the_place_of_those_that_all_parts_share(database: Database) -> None:
    token_keys = await database.write(partial(tokens.load_keys, now=NOW))
    link_keys = await database.write(partial(files.load_link_keys, now=NOW))
    public, invite, secret = token_keys.accepted[0], token_keys.invite, link_keys.current()
    async with FollowKeys(database, token_keys, link_keys, clock=lambda: NOW).running():
        for purpose in (signing_keys.TOKENS, signing_keys.LINKS, signing_keys.FILES):
            await database.write(partial(signing_keys.rotate, purpose=purpose, now=NOW, void=True))
        async with asyncio.timeout(WITHIN_SECS):
            while link_keys.current() == secret or token_keys.invite == invite:
                await asyncio.sleep(0.05)
    assert token_keys.accepted == (token_keys.current.public_key(),)
    assert public not in token_keys.accepted


async def test_what_cannot_be_read_changes_nothing_and_ends_nothing(database: Database) -> None:
    token_keys = await database.write(partial(tokens.load_keys, now=NOW))
    link_keys = await database.write(partial(files.load_link_keys, now=NOW))
    invite = token_keys.invite
    follower = FollowKeys(database, token_keys, link_keys, clock=lambda: NOW)
    with capture_logs() as logged:
        async with follower.running():
            await database.write(lambda tx: tx.execute(signing_keys.KEYS.delete()).rowcount)
            async with asyncio.timeout(WITHIN_SECS):
                while not logged:
                    await asyncio.sleep(0.05)
            assert token_keys.invite == invite
            renewed = await database.write(partial(tokens.load_keys, now=NOW))
            await database.write(partial(files.load_link_keys, now=NOW))
            async with asyncio.timeout(WITHIN_SECS):
                while token_keys.invite != renewed.invite:
                    await asyncio.sleep(0.05)
    assert [each["event"] for each in logged] == ["signing keys cannot be read"], "once for each outage"
