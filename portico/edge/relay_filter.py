"""Limits the relay to the ports of media, by a table of nftables that lives as long as this process."""

import asyncio
import contextlib
import os

from portico.edge.coturn_config import RelaySettings, filter_commands
from portico.edge.programs import find
from portico.runtime import child
from portico.runtime.child_process import ChildUnavailable

_NFT_SECS = 10.0
_OUTPUT_BYTES_MAX = 65_536


class RelayFilter:
    """The table of nftables, which exists while its nft runs. Needs root, a user for children, and nft."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self.why_not: str | None = "it is not started"
        """Why the relay is not limited to ports, as a clause; None while it is."""

    async def start(self) -> None:
        """Make the table; `why_not` says afterwards why there is none."""
        self.why_not = "nft does not answer"
        try:
            self.why_not = await self._make()
        except (OSError, TimeoutError, ChildUnavailable) as error:
            self.why_not = str(error).rstrip(".") or self.why_not
        finally:  # also where a health check that makes the table again takes too long
            if self.why_not is not None:
                await self.stop()

    @property
    def is_there(self) -> bool:
        """Whether nft runs. The kernel removes the table when nft ends."""
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> None:
        """End nft, so that the kernel removes the table."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def _make(self) -> str | None:
        owner = (await asyncio.to_thread(child.protect)).owner
        if owner is None:
            return "coturn has no user of its own here"
        nft, table = str(find("nft", package="nftables", needed_by="PORTICO_TURN")), f"portico_relay_{os.getpid()}"
        # It ends when its input does, that is with this process, even if that is killed.
        self._process = process = await asyncio.create_subprocess_exec(
            *(nft, "--interactive"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=child.environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        commands = filter_commands(self._settings, table, owner[0])
        process.stdin.write("".join(f"{command}\n" for command in commands).encode())
        rules = len(commands) - 2
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NFT_SECS):
                while await _rules_of(nft, table) < rules:
                    if process.returncode is not None:
                        return "nft is not allowed to change the packet filter"
                    await asyncio.sleep(0.05)
                return None
        return "nft is not allowed to change the packet filter, or the kernel is older than 5.12"


async def _rules_of(nft: str, table: str) -> int:
    """The number of rules of the table that drop packets; 0 without the table."""
    process = await asyncio.create_subprocess_exec(
        *(nft, "list", "table", "inet", table),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return output[:_OUTPUT_BYTES_MAX].count(b"drop")
