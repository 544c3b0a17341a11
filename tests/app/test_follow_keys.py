"""Signing keys that another process replaced are in use here soon, whatever the database does meanwhile."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

from structlog.testing import capture_logs

from portico.app.follow_keys import FollowKeys
from portico.db.engine import Database
from portico.services import files, signing_keys, tokens, webhook_keys
from portico.services.webhook_keys import WebhookKeys
from tests.factories import NOW

WITHIN_SECS = 30.0


async def of_webhooks(database: Database) -> WebhookKeys:
    load = partial(webhook_keys.load, setting=None, folder=Path("/nowhere"), now=NOW)
    return await database.write(load)


async def test_replaced_keys_take_the_place_of_those_that_all_parts_share(database: Database) -> None:
    token_keys = await database.write(partial(tokens.load_keys, now=NOW))
    link_keys = await database.write(partial(files.load_link_keys, now=NOW))
    webhooks = await of_webhooks(database)
    signer = webhooks.current(NOW)
    public, invite, secret = token_keys.accepted[0], token_keys.invite, link_keys.current()
    async with FollowKeys(database, token_keys, link_keys, webhooks, clock=lambda: NOW).running():
        for purpose in (signing_keys.TOKENS, signing_keys.LINKS, signing_keys.FILES):
            await database.write(partial(signing_keys.rotate, purpose=purpose, now=NOW, void=True))
        rotate = partial(webhook_keys.rotate, setting=None, now=NOW, overlap=timedelta(0))
        new = await database.write(rotate)
        async with asyncio.timeout(WITHIN_SECS):
            while link_keys.current() == secret or token_keys.invite == invite or webhooks.current(NOW) == signer:
                await asyncio.sleep(0.05)
    assert token_keys.accepted == (token_keys.current.public_key(),)
    assert public not in token_keys.accepted
    assert webhooks.current(NOW).private_bytes_raw() == new.private.private_bytes_raw()


async def test_what_cannot_be_read_changes_nothing_and_ends_nothing(database: Database) -> None:
    token_keys = await database.write(partial(tokens.load_keys, now=NOW))
    link_keys = await database.write(partial(files.load_link_keys, now=NOW))
    invite = token_keys.invite
    follower = FollowKeys(database, token_keys, link_keys, await of_webhooks(database), clock=lambda: NOW)
    with capture_logs() as logged:
        async with follower.running():
            await database.write(lambda tx: tx.execute(signing_keys.KEYS.delete()).rowcount)
            async with asyncio.timeout(WITHIN_SECS):
                while not logged:
                    await asyncio.sleep(0.05)
            assert token_keys.invite == invite
            renewed = await database.write(partial(tokens.load_keys, now=NOW))
            await database.write(partial(files.load_link_keys, now=NOW))
            await of_webhooks(database)
            async with asyncio.timeout(WITHIN_SECS):
                while token_keys.invite != renewed.invite:
                    await asyncio.sleep(0.05)
    assert [each["event"] for each in logged] == ["signing keys cannot be read"], "once for each outage"
