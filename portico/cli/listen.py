"""`portico listen` and `portico trigger`: webhooks for integrators without a public URL, and without a call."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Protocol
from uuid import uuid4

import typer

from portico.cli.installation import webhook_keys, with_database
from portico.cli.terminal import CommandRefused, printable

if TYPE_CHECKING:  # all of these are slow to import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from portico.db.engine import Database, Transaction
    from portico.services.event_feed import Position
    from portico.services.rows import RecordedEvent
    from portico.worker.webhooks.sender import Outcome

POLL_SECS = 0.2
SEND_WITHIN_SECS = 10
"""Longer than most rooms permit, for a receiver that is stopped in a debugger. Meanwhile no further event is shown."""


class Forward(Protocol):
    """POSTs the `data` of an event to the URL of the command line."""

    async def __call__(self, data: str) -> "Outcome": ...


def add_to(app: typer.Typer) -> None:
    """Make these commands of the application."""
    app.command()(listen)
    app.command()(trigger)


def listen(
    forward: Annotated[str | None, typer.Option(help="POST each event to this URL, signed as a real webhook.")] = None,
    room: Annotated[str | None, typer.Option(help="Only events of the room with this id.")] = None,
) -> None:
    """Print events as they are recorded, from now on, and forward them. Needs no webhook URL in the room.

    Each event is forwarded once, whatever the answer. Ctrl-C ends it.
    """
    room_id = _room_id(room)
    _check_url(forward)

    async def run(db: "Database") -> None:
        async with _sender(db, forward) as send:
            listening = asyncio.create_task(_follow(db, room_id, send))
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, listening.cancel)
            with suppress(asyncio.CancelledError):
                await listening

    try:
        with_database(run)
    except BrokenPipeError:  # `portico listen | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def trigger(
    event_type: Annotated[str, typer.Argument(help="For example video.room.participant.joined.")],
    to: Annotated[str | None, typer.Option(help="POST it to this URL; without, it is only printed.")] = None,
) -> None:
    """Send one sample event, signed as a real webhook, and print the answer."""
    from portico.core import samples, webhook

    if event_type not in samples.EVENT_TYPES:
        raise CommandRefused(f"There is no event {printable(event_type)}. Known are: {', '.join(samples.EVENT_TYPES)}.")
    _check_url(to)
    now, payload = datetime.now(UTC), asdict(samples.sample(event_type, lambda: str(uuid4())))
    data = webhook.event_json(event_id=str(uuid4()), event_type=event_type, occurred_at=now, payload=payload)
    if to is None:
        body = webhook.body(data, attempt=1, delivered_to="http://127.0.0.1")
        for name, value in webhook.headers(_signing_key(), body, now=now).items():
            print(f"{name}: {value}")
        print(f"\n{body.decode()}")
        return
    outcome = with_database(partial(_send_once, url=to, data=data), create=True)
    if outcome.status is not None:
        print(f"{outcome.status} in {_milliseconds(outcome)} ms")
        for name, value in outcome.response_headers.items():
            print(f"{printable(name)}: {printable(value)}")
        print("\n" + "\n".join(map(printable, outcome.response_body.splitlines())))
    if not outcome.delivered:
        raise CommandRefused(f"Not delivered to {to}: {printable(outcome.error or '')}.")


async def _send_once(db: "Database", url: str, data: str) -> "Outcome":
    async with _sender(db, url) as send:
        assert send is not None
        return await send(data)


async def _follow(db: "Database", room_id: str | None, send: Forward | None) -> None:
    """Print and forward new events until cancelled. While the database does not answer, try again."""
    from portico.core.errors import Busy
    from portico.services import event_feed

    position = await db.read(partial(_start, room_id=room_id))
    print("Listening. Ctrl-C ends it.", file=sys.stderr, flush=True)
    answered = True
    while True:
        try:
            step = partial(event_feed.following, position=position, now=time.monotonic())
            found, position = await db.read(step)
        except Busy:
            if answered:
                print("The database does not answer; trying on.", file=sys.stderr, flush=True)
            found, answered = [], False
        else:
            answered = True
        for event in found:
            if room_id in (None, event.room_id):
                await _show(event, send)
        if len(found) < event_feed.POLL_MAX:
            await asyncio.sleep(POLL_SECS)


def _start(tx: "Transaction", room_id: str | None) -> "Position":
    from portico.services import event_feed, rooms

    if room_id is not None and not rooms.existing(tx, [room_id]):
        raise CommandRefused(f"There is no room {room_id}.")
    return event_feed.newest(tx)


async def _show(event: "RecordedEvent", send: Forward | None) -> None:
    from portico.core.webhook import event_json

    at = event.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    print(f"{at}  {event.event_type}  {json.dumps(event.payload)}", flush=True)
    if send is None:
        return
    data = event_json(
        event_id=event.id, event_type=event.event_type, occurred_at=event.occurred_at, payload=event.payload
    )
    outcome = await send(data)
    result = printable(outcome.error or str(outcome.status))
    print(f"    -> {result} in {_milliseconds(outcome)} ms", flush=True)


@asynccontextmanager
async def _sender(db: "Database", url: str | None) -> AsyncIterator[Forward | None]:
    """Make a function that sends to this URL, signed with the key that signs at that moment."""
    if url is None:
        yield None
        return
    from portico.services import clock
    from portico.worker.webhooks.sender import Sender

    sender = Sender(clock=lambda: datetime.now(UTC), allow_internal=True)

    async def send(data: str) -> "Outcome":
        key = (await webhook_keys(db)).current(await db.read(clock.now))
        return await sender.send(url, data, attempt=1, key=key, timeout_secs=SEND_WITHIN_SECS)

    await sender.start()
    try:
        yield send
    finally:
        await sender.close()


def _signing_key() -> "Ed25519PrivateKey":
    from portico.services import clock

    async def read(db: "Database") -> "Ed25519PrivateKey":
        return (await webhook_keys(db)).current(await db.read(clock.now))

    return with_database(read, create=True)


def _check_url(url: str | None) -> None:
    from portico.core.casting import URL_LENGTH_MAX, BodyMember, cast
    from portico.core.errors import Invalid

    if url is None:
        return
    try:
        cast([BodyMember("The URL", "url", "", longest=URL_LENGTH_MAX, required=True)], {"The URL": url})
    except Invalid as wrong:
        raise CommandRefused(str(wrong)) from None


def _room_id(text: str | None) -> str | None:
    from portico.core.casting import parse_uuid

    found = None if text is None else parse_uuid(text)
    if text is not None and found is None:
        raise CommandRefused(f"There is no room {printable(text)}: a room's id is a UUID.")
    return found


def _milliseconds(outcome: "Outcome") -> str:
    return f"{(outcome.finished_at - outcome.started_at).total_seconds() * 1000:.0f}"
