"""Internal addresses: refused on what is connected to, however the URL or a name server spells it."""

import asyncio
import socket
from functools import partial

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from portico.db.engine import Database
from portico.worker.webhooks.internal_addresses import WhileOneAccount
from tests.factories import an_account
from tests.receiver import Receiver, redirect
from tests.worker.webhooks.conftest import a_sender, sent

LITERALS = [
    "127.0.0.1",
    "127.0.0.2",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "10.0.0.1",
    "169.254.169.254",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fd00:ec2::254]",
]
SPELLED = ["0x7f.1", "0x7f000001", "localhost", "LOCALHOST", "localhost."]
"""Neither is an address in the usual form: the system's resolver makes one of it."""
NUMBERS = ["2130706433", "127.1", "017700000001", "0177.0.0.1", "127.0.0.1."]


class Names(AbstractResolver):
    """A name server under the test's control; counts the questions."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("host", LITERALS)
async def test_literals_are_refused(host: str) -> None:
    async with Receiver() as receiver, a_sender(allow_internal=False) as sender:
        outcome = await sent(sender, f"http://{host}:{receiver.port}/")
        assert receiver.connections == 0
    assert outcome.error is not None
    assert outcome.error.startswith("the address ") and outcome.error.endswith(" is internal")


@pytest.mark.parametrize("host", SPELLED + NUMBERS)
async def test_odd_spellings_are_refused(host: str) -> None:
    async with Receiver() as receiver, a_sender(allow_internal=False) as sender:
        outcome = await sent(sender, f"http://{host}:{receiver.port}/")
        assert receiver.connections == 0
    assert not outcome.delivered and outcome.error


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_all_of_it_is_allowed_for_those_who_host_themselves(host: str) -> None:
    async with Receiver(host="0.0.0.0") as receiver, a_sender() as sender:
        outcome = await sent(sender, f"http://{host}:{receiver.port}/")
        assert (outcome.error, receiver.connections) == (None, 1)


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("::1", "127.0.0.1"), ("::ffff:127.0.0.1",), ("10.0.0.1", "10.0.0.2", "fe80::1%lo")],
    ids=str,
)
async def test_names_are_refused_by_what_they_resolve_to(addresses: tuple[str, ...]) -> None:
    async with Receiver() as receiver, a_sender(allow_internal=False, resolver=Names(*addresses)) as sender:
        outcome = await sent(sender, f"http://innocent.example:{receiver.port}/")
        assert receiver.connections == 0
    assert outcome.error is not None
    assert any(f"the address {address} is internal" in outcome.error for address in addresses)


async def test_a_name_resolves_where_that_is_allowed() -> None:
    names = Names("127.0.0.1")
    async with Receiver() as receiver, a_sender(resolver=names) as sender:
        outcome = await sent(sender, f"http://receiver.example:{receiver.port}/")
        assert outcome.delivered
        assert receiver.requests[0].headers["host"] == f"receiver.example:{receiver.port}"
    assert names.asked == ["receiver.example"]


async def test_a_name_that_changes_its_mind_between_check_and_connection() -> None:
    """There is no such time in between: the one look that is taken is at the address given to connect."""
    names = Names("127.0.0.1")
    async with Receiver() as receiver, a_sender(allow_internal=False, resolver=names) as sender:
        for _ in range(3):
            assert not (await sent(sender, f"http://rebinding.example:{receiver.port}/")).delivered
        assert receiver.connections == 0


METADATA = [
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "0xa9fea9fe",
]


@pytest.mark.parametrize("host", METADATA)
async def test_link_local_addresses_and_metadata_are_refused_whatever_the_settings_say(host: str) -> None:
    async with a_sender() as sender:
        outcome = await sent(sender, f"http://{host}/latest/meta-data/")
    assert outcome.error is not None
    assert outcome.error.startswith("the address ") and outcome.error.endswith("metadata")


async def test_a_name_that_resolves_to_metadata_is_refused_whatever_the_settings_say() -> None:
    async with a_sender(resolver=Names("169.254.169.254")) as sender:
        outcome = await sent(sender, "http://innocent.example/")
    assert outcome.error is not None and "169.254.169.254" in outcome.error


async def test_internal_addresses_are_allowed_as_long_as_there_is_one_account(database: Database) -> None:
    await database.write(an_account)
    allowed = WhileOneAccount(database)
    async with Receiver() as receiver, a_sender(allow_internal=allowed) as sender:
        assert (await sent(sender, receiver.url)).delivered
        await database.write(partial(an_account, name="another"))
        async with asyncio.timeout(20):
            while (outcome := await sent(sender, receiver.url)).delivered:
                await asyncio.sleep(0.05)
        assert outcome.error == "the address 127.0.0.1 is internal"
        connections = receiver.connections
        assert not (await sent(sender, receiver.url)).delivered
        assert receiver.connections == connections


async def test_a_redirect_inwards_is_not_followed() -> None:
    async with Receiver() as inside, Receiver(redirect(inside.url)) as receiver, a_sender() as sender:
        assert not (await sent(sender, receiver.url)).delivered
        assert inside.connections == 0


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 63 + ".invalid"])
async def test_a_name_that_does_not_exist(host: str) -> None:
    async with a_sender() as sender:
        outcome = await sent(sender, f"http://{host}/", timeout_secs=10)
    assert outcome.error is not None and outcome.error.startswith(f"the name {host} is not known: ")
