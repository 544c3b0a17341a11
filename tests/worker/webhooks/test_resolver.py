"""Names: looked up side by side, so that one that hangs holds up no other."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from portico.worker.webhooks.resolver import ThreadPerName
from tests.receiver import Receiver
from tests.waiting import WITHIN_SECS
from tests.worker.webhooks.conftest import QUICKLY, a_sender, sent


async def test_a_name_of_the_system() -> None:
    [found, *_] = await ThreadPerName().resolve("localhost", 80, socket.AF_UNSPEC)
    assert (found["hostname"], found["port"]) == ("localhost", 80)
    assert found["host"] in ("127.0.0.1", "::1")


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..b", "x" * 64, "\udc00"])
async def test_what_is_no_name(name: str) -> None:
    with pytest.raises(OSError, match=r"not known|not a valid name|No address"):
        await ThreadPerName().resolve(name, 80, socket.AF_UNSPEC)


@pytest.fixture
def silent_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The system's function does not come back for `*.slow`, as when name servers do not answer, until it is set."""
    answering, system = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *rest: object, **named: object) -> object:
        if host.endswith(".slow"):
            answering.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return system(host, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield answering
    answering.set()


async def test_names_that_hang_hold_up_no_other(silent_name_server: threading.Event) -> None:
    async with Receiver() as receiver, a_sender() as sender:
        hanging = [asyncio.create_task(sent(sender, f"http://{n}.slow/", timeout_secs=2)) for n in range(40)]
        await asyncio.sleep(0)
        assert (
            await sent(sender, f"http://localhost:{receiver.port}/", timeout_secs=20)
        ).delivered  # less than names hang
        assert {(await task).error for task in hanging} == {"timed out after 2 s"}
    silent_name_server.set()


async def test_a_late_answer_is_ignored(silent_name_server: threading.Event) -> None:
    async with a_sender() as sender:
        outcome = await sent(sender, "http://one.slow/", timeout_secs=QUICKLY)
    assert outcome.error == "timed out after 0.4 s"
    silent_name_server.set()
    async with asyncio.timeout(WITHIN_SECS):
        while any(thread.name == "resolve" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
