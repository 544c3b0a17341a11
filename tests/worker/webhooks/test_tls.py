"""TLS: certificates are checked, and what misbehaves inside it is dropped as quickly as without."""

import asyncio
from pathlib import Path

import pytest

from portico.worker.webhooks.sender import Sender
from tests import receiver as nasty
from tests.pace import Pace
from tests.receiver import Behaviour, Receiver, raw, unfinished
from tests.worker.webhooks.certificates import a_server, an_authority
from tests.worker.webhooks.conftest import PUBLIC, QUICKLY, a_sender, sent
from tests.worker.webhooks.test_nasty_receivers import gone, limit_for

AUTHORITY = an_authority()


async def test_a_trusted_certificate(tmp_path: Path) -> None:
    async with Receiver(tls=a_server(tmp_path, AUTHORITY)) as receiver, a_sender(tls=AUTHORITY.trusted()) as sender:
        for _ in range(3):
            assert (await sent(sender, receiver.url)).error is None
        receiver.requests[0].check_signature(PUBLIC)
    assert receiver.url.startswith("https://")
    assert receiver.connections == 1


async def test_the_systems_authorities_are_the_default(tmp_path: Path, sender: Sender) -> None:
    async with Receiver(tls=a_server(tmp_path, AUTHORITY)) as receiver:
        outcome = await sent(sender, receiver.url)
    assert outcome.error is not None and outcome.error.startswith("certificate not trusted: unable to get local issuer")
    assert not receiver.requests


@pytest.mark.parametrize(
    ("days", "address", "own", "reason"),
    [
        (1, "127.0.0.1", True, "self-signed certificate"),
        (-1, "127.0.0.1", False, "certificate has expired"),
        (1, "127.0.0.9", False, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
async def test_certificates_that_are_not_trusted(
    tmp_path: Path, days: int, address: str, own: bool, reason: str
) -> None:
    tls = a_server(tmp_path, None if own else AUTHORITY, days=days, address=address)
    async with Receiver(tls=tls) as receiver, a_sender(tls=AUTHORITY.trusted()) as sender:
        outcome = await sent(sender, receiver.url)
    assert outcome.error == f"certificate not trusted: {reason}"
    assert (outcome.status, receiver.requests) == (None, [])


async def test_a_server_without_tls_where_tls_is_expected(sender: Sender) -> None:
    async with Plain(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        outcome = await sent(sender, f"https://127.0.0.1:{port}/")
    assert outcome.error is not None and outcome.error.startswith("TLS failed: ")


@pytest.mark.parametrize("answer", [b"", b"\x16\x03\x03\x40\x00" + bytes(100)], ids=["silent", "half a record"])
async def test_a_handshake_that_does_not_end(sender: Sender, answer: bytes) -> None:
    async with Plain(answer) as port:
        outcome = await sent(sender, f"https://127.0.0.1:{port}/", timeout_secs=QUICKLY)
    assert outcome.error is not None
    assert outcome.error == "timed out after 0.4 s" or outcome.error.startswith("TLS failed: ")


async def test_a_server_that_hangs_up_in_the_handshake(sender: Sender) -> None:
    async with Plain(None) as port:
        outcome = await sent(sender, f"https://127.0.0.1:{port}/")
    assert outcome.error and "could not be sent" not in outcome.error


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (nasty.hang(), "timed out after 0.4 s"),
        (nasty.endless_informational(), "timed out after 0.4 s"),
        (nasty.endless_headers(), "the answer's headers are too long"),
        (nasty.gigabytes(500), "answered 500"),
        (nasty.gigabytes(200), None),
        (unfinished(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), None),
        (raw(b"garbage\r\n\r\n"), "the answer is not HTTP: Bad status line: "),
        (nasty.close(), "the connection was closed without an answer"),
    ],
)
async def test_nastiness_inside_tls(tmp_path: Path, behaviour: Behaviour, error: str | None) -> None:
    tls = a_server(tmp_path, AUTHORITY)
    async with Receiver(behaviour, tls=tls) as receiver, a_sender(tls=AUTHORITY.trusted()) as sender:
        async with Pace() as pace:
            outcome = await sent(sender, receiver.url, timeout_secs=limit_for(error))
        assert pace.secs < 5
        await gone(receiver)  # at once, and not after a polite good-bye of 30 s
    if error is None:
        assert outcome.delivered
    else:
        assert outcome.error is not None and outcome.error.startswith(error)


class Plain:
    """A server without TLS that says `answer` to whatever comes and then waits; hangs up at once with None."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            if self._answer is not None:
                writer.write(self._answer)
                while await reader.read(1000):
                    pass
        except OSError:
            pass
        finally:
            writer.close()
