"""A conversion is killed anywhere, and another process brings it to the same end."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portico.db.connect import open_database
from portico.services import jobs, recordings
from portico.worker.runner import LEASE
from tests.waiting import WITHIN_SECS
from tests.worker.studio import KIND, a_studio

pytestmark = pytest.mark.slow

CHILD = """
import asyncio, os, signal, sys, threading
from datetime import datetime
from pathlib import Path
from portico.db.connect import open_database
from portico.storage.open import open_store
from portico.services import jobs
from portico.worker.recordings import convert
from portico.worker import runner as runners

url, folder, now, fatal = sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3]), int(sys.argv[4])
count = 0

def local(frame, event, arg):
    global count
    if event == "line":
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return local

def trace(frame, event, arg):
    ours = ("/worker/recordings/convert.py", "/worker/runner.py", "/storage/local.py", "/services/recordings.py")
    return local if frame.f_code.co_filename.endswith(ours) else None

async def main():
    threading.settrace(trace)
    sys.settrace(trace)
    database = open_database(url)
    store = open_store(None, folder, secret=bytes(32), base_url="http://127.0.0.1:8080")
    conversion = convert.ConvertRecording(database, store, folder, clock=lambda: now)
    # How many lines there are must not depend on how long it takes.
    runners.POLL_SECS = runners.RENEW_SECS = 3600.0
    runner = runners.Jobs(database, {"convert_recording": conversion.kind(1)}, clock=lambda: now)
    await runner.start()
    while await database.read(lambda tx: tx.execute(jobs.JOBS.select()).first()):
        await asyncio.sleep(0.01)
    print(count, flush=True)
    os._exit(0)

asyncio.run(main())
"""
KILLS = 8


async def test_a_kill_at_any_line_ends_in_the_same_state(sqlite_url: str, tmp_path: Path) -> None:
    """The job is killed at lines spread over its whole run; each time another process completes it."""
    status, count = await ended_after(0, sqlite_url, tmp_path / "whole")
    assert (status, count > 100) == (0, True)
    killed = 0
    for step in range(1, KILLS + 1):
        status, _ = await ended_after(step * count // (KILLS + 1), sqlite_url, tmp_path / f"killed-{step}")
        killed += status == -signal.SIGKILL
    assert killed >= KILLS - 2, "a run has some lines more or less than another"


async def ended_after(line: int, url: str, folder: Path) -> tuple[int, int]:
    """Kill a job at this line and let another process complete it; return (exit status, lines) of the first process."""
    database = open_database(url)
    studio = await a_studio(database, folder)
    await studio.media("audio")
    studio.sound()
    await studio.end()
    video = await studio.recording("video")
    await studio.do(jobs.cancel, kind=KIND, subject=video.id)
    await studio.do(recordings.discard, recording_id=video.id)
    await database.close()  # a file has one process

    command = [sys.executable, "-c", CHILD, url, str(folder), studio.workshop.clock.now.isoformat(), str(line)]
    child = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=WITHIN_SECS
    )

    database = studio.workshop.database = open_database(url)
    try:
        studio.workshop.clock.now += LEASE
        await studio.work()
        recording = await studio.completed("audio")
        await studio.workshop.idle()
        assert (recording.codec, recording.failure) == ("opus", None), child.stderr
        assert await studio.store.size(recording.object_key) == recording.size_bytes > 0
        assert len(await studio.events()) == 1, "neither lost nor sent twice"
        assert studio.names() == [] and studio.names("work/recordings") == []
        assert len([each for each in (folder / "files").rglob("*") if each.is_file()]) == 1
    finally:
        await studio.workshop.stop()
        await database.close()
    return child.returncode, 0 if child.returncode else int(child.stdout.split()[-1])
