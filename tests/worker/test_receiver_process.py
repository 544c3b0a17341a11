"""The receiver as a process of its own: what it was sent is in its log, also when somebody kills it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from portico.worker.sender import Sender
from tests.receiver import read_log
from tests.worker.conftest import PUBLIC, sent


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
