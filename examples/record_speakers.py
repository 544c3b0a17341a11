"""Records each participant of a room to an own WAV file: `python record_speakers.py BASE_URL ROOM_ID TOKEN FOLDER`.

Needs `pip install "portico-video[client]"`. BASE_URL is the server's, such as http://127.0.0.1:8080; TOKEN is a client
token of the room (docs/bots.md). Ends with the call, or with Ctrl-C: the files are complete in both cases.
"""

import asyncio
import contextlib
import re
import sys
import wave
from itertools import count
from pathlib import Path

from portico.client import Joined, Participant, Room

SECS = 0.02
"""Length of a frame."""
LONGEST_GAP = 3000
"""Frames of silence at most in place of sound that was lost: a minute."""


async def record(participant: Participant, folder: Path) -> None:
    # A name is what a participant says it is: no part of it may lead to another folder.
    name, due = re.sub(r"\W", "_", participant.name), None
    path = next(path for number in count(1) if not (path := folder / f"{name}-{number}.wav").exists())
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 48_000, 0, "NONE", ""))
        async for frame in participant.audio():  # until the participant leaves
            lost = 0 if due is None else min(round((frame.time - due) / SECS), LONGEST_GAP)
            wav.writeframes(bytes(len(frame.pcm) * max(lost, 0)) + frame.pcm)
            due = frame.time + SECS
    print(path, flush=True)


async def main(base_url: str, room_id: str, token: str, folder: str) -> None:
    async with Room.join(base_url, room_id, token, context={"name": "Recorder"}) as room, asyncio.TaskGroup() as tasks:
        async for event in room.events():
            if isinstance(event, Joined):
                tasks.create_task(record(event.participant, Path(folder)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:5]))
