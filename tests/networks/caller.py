"""Two clients of portico.client in one room, on a machine of the lab: python -m tests.networks.caller URL ROOM TOKEN.

Prints the way to the relay that each uses, as soon as one receives the sound of the other.
"""

import asyncio
import sys

from portico.client import Room, Tone
from tests.client.parts import until_sound


async def main(base_url: str, room_id: str, token: str) -> None:
    """Publish with one, receive with the other."""
    async with (
        Room.join(base_url, room_id, token, messages=False) as speaker,
        Room.join(base_url, room_id, token, messages=False) as listener,
    ):
        published = asyncio.create_task(speaker.publish(audio=Tone(440)))
        await until_sound(listener.audio(), 440, within=150.0)
        await published
        print(speaker._relays.way, listener._relays.way)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
