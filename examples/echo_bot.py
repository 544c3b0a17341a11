"""Repeats what participants say, a second later: `python echo_bot.py BASE_URL ROOM_ID TOKEN`.

Needs `pip install "portico-video[client]"`. BASE_URL is the server's, such as http://127.0.0.1:8080; TOKEN is a client
token of the room (docs/bots.md). Ends with the call, or with Ctrl-C.
"""

import asyncio
import contextlib
import sys
from collections import deque

from portico.client import LiveAudio, Room

LATER = 50
"""Frames of 20 ms between a sound and its echo."""


async def echo(base_url: str, room_id: str, token: str) -> None:
    voice = LiveAudio()
    waiting: deque[bytes] = deque()
    async with Room.join(base_url, room_id, token, context={"name": "Echo"}) as room:
        await room.publish(audio=voice)
        # The mix of all others: a participant never receives its own sound, or the echo would go on for ever.
        async for frame in room.audio():
            waiting.append(frame.pcm)
            if len(waiting) > LATER:
                voice.write(waiting.popleft())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(echo(*sys.argv[1:4]))
