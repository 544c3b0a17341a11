"""The nastiest of it on the event loop that the server runs on, whose sockets and errors are not asyncio's own."""

import asyncio
from pathlib import Path

import uvloop

from portico.worker.webhooks.sender import Outcome
from tests.pace import Pace
from tests.receiver import Behaviour, Receiver
from tests.worker.webhooks.certificates import a_server, an_authority
from tests.worker.webhooks.conftest import a_sender, sent
from tests.worker.webhooks.test_nasty_receivers import DELIVERED, FAILED, gone

AUTHORITY = an_authority()


def test_every_nasty_receiver_at_once(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)
        outcomes = runner.run(all_of_them(tmp_path, {**{kind: each[0] for kind, each in FAILED.items()}, **DELIVERED}))
    for kind, (_, error) in FAILED.items():
        for outcome in outcomes[kind]:
            # Beside floods on a busy machine even an answer at once may come too late.
            assert outcome.error is not None and outcome.error.startswith((error, "timed out after 1 s")), (
                kind,
                outcome,
            )
    for kind in DELIVERED:
        for outcome in outcomes[kind]:
            assert outcome.delivered or outcome.error == "timed out after 1 s", (kind, outcome)


def test_an_internal_address_and_a_closed_port() -> None:
    async def both() -> tuple[Outcome, Outcome, Outcome]:
        async with Receiver() as receiver, a_sender(allow_internal=False) as strict, a_sender() as sender:
            refused = await sent(strict, receiver.url)
            name = await sent(strict, f"http://localhost:{receiver.port}/")
            assert receiver.connections == 0
            await receiver.stop()
            return refused, name, await sent(sender, receiver.url)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        refused, name, closed = runner.run(both())
    assert refused.error == "the address 127.0.0.1 is internal"
    assert name.error is not None and name.error.endswith("is internal")
    assert closed.error == "connection refused"


async def all_of_them(folder: Path, behaviours: dict[str, Behaviour]) -> dict[str, tuple[Outcome, Outcome]]:
    """What comes of each behaviour without and with TLS."""
    tls = a_server(folder, AUTHORITY)
    async with a_sender(tls=AUTHORITY.trusted()) as sender:

        async def one(behaviour: Behaviour) -> tuple[Outcome, Outcome]:
            async with Receiver(behaviour) as plain, Receiver(behaviour, tls=tls) as encrypted:
                outcomes = await asyncio.gather(
                    *(sent(sender, each.url, timeout_secs=1) for each in (plain, encrypted))
                )
                await gone(plain)
                await gone(encrypted)
            return outcomes[0], outcomes[1]

        async with Pace() as pace:
            outcomes = await asyncio.gather(*(one(behaviour) for behaviour in behaviours.values()))
        assert pace.secs < 10
    return dict(zip(behaviours, outcomes, strict=True))
