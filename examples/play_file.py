"""Plays the sound of a file into a room, then leaves: `python play_file.py BASE_URL ROOM_ID TOKEN FILE`.

Needs `pip install "portico-video[client]"`. BASE_URL is the server's, such as http://127.0.0.1:8080; TOKEN is a client
token of the room (docs/bots.md). FILE may have any format that FFmpeg reads.
"""

import asyncio
import contextlib
import sys

from portico.client import FilePlayer, Room


async def play(base_url: str, room_id: str, token: str, path: str) -> None:
    async with Room.join(base_url, room_id, token, context={"name": "Player"}) as room:
        publication = await room.publish(audio=FilePlayer(path))
        await publication.finished()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(play(*sys.argv[1:5]))
