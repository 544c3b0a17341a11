"""A relay as a program: `relay_of_user.py DATA_DIR PORT LOW all|media`, which runs until its input ends.

It prints a line when it runs, or why it is refused. The relay is at the 200 ports from LOW of 127.0.0.9, media at the
100 ports from LOW + 300.
"""

import asyncio
import sys
from pathlib import Path

from portico.edge.coturn import Relay
from portico.edge.coturn_config import RelaySettings
from portico.runtime.child_process import ChildUnavailable

LISTEN, PEER, SECRET = "127.0.0.1", "127.0.0.9", "a secret of the test"


async def main(data: str, port: str, low: str, peer_ports: str) -> None:
    first = int(low)
    settings = RelaySettings(
        Path(data),
        SECRET,
        listen=(LISTEN,),
        relay=(PEER,),
        peers=(PEER,),
        media_ports=(first + 300, first + 399),
        may_reach_all_ports=peer_ports == "all",
        port=int(port),
        ports=(first, first + 199),
    )
    try:
        relay = Relay(settings)
        await relay.start()
    except ChildUnavailable as refusal:
        print("refused", refusal, flush=True)
        return
    print("runs", relay.why_all_ports, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await relay.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
