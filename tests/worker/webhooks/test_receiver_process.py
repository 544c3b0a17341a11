"""The receiver itself: as a process it writes down what it was sent before it answers; it leaves nothing open."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from portico.worker.webhooks.sender import Sender
from tests.receiver import Receiver, read_log
from tests.worker.webhooks.conftest import PUBLIC, sent


async def test_it_writes_before_it_answers_and_survives_nothing_but_what_it_wrote(
    sender: Sender, tmp_path: Path
) -> None:
    log = tmp_path / "requests.jsonl"
    assert read_log(log) == []
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.receiver", "--log", str(log), "--status", "503", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert receiver.stdout is not None
        url = (await asyncio.wait_for(receiver.stdout.readline(), 30)).decode().strip()
        for attempt in (1, 2):
            assert (await sent(sender, url, attempt=attempt)).status == 503
    finally:
        os.kill(receiver.pid, signal.SIGKILL)
        await receiver.wait()
    with log.open("a") as half:
        half.write('{"at": "2026')
    requests = read_log(log)
    assert [request.json["meta"]["attempt"] for request in requests] == [1, 2]
    for request in requests:
        request.check_signature(PUBLIC)
        assert request.unwrap(PUBLIC).data.event_type == "video.room.participant.joined"


@pytest.mark.parametrize("rounds", range(8))
def test_who_calls_as_it_stops_is_hung_up_on(rounds: int) -> None:
    """However far the connection has come; a socket left open would fail this test when it is collected."""

    async def call() -> bytes:
        receiver = Receiver()
        await receiver.start()
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as caller:
            caller.sendall(b"POST / HTTP/1.1\r\n")
            for _ in range(rounds):
                await asyncio.sleep(0)
            await receiver.stop()
            with contextlib.suppress(ConnectionResetError):
                return await asyncio.to_thread(caller.recv, 1)
        return b""

    assert asyncio.run(call()) == b""
    gc.collect()
