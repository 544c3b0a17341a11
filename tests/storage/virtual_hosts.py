"""A store that insists on virtual hosts: a front of an S3 server that knows buckets by the Host header only."""

import asyncio

from tests.proxy import HEAD_SECS, Relay


class Front(Relay):
    """Listens on 127.0.0.1 for HOST, and passes what is asked of BUCKET.HOST on to the server behind it."""

    def __init__(self, host: str, behind: int) -> None:
        super().__init__()
        self._host, self._behind = host, behind
        self.targets: list[tuple[str, str]] = []
        """Host and path of each request."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *headers = head.rstrip("\r\n").split("\r\n")
        method, path, version = line.split(" ")
        named = dict(each.lower().split(": ", 1) for each in headers)
        self.targets.append((named["host"], path))
        bucket, found, rest = named["host"].partition(f".{self._host}")
        if not found or rest:
            writer.write(b"HTTP/1.1 400 Path style is not supported\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        kept = [each for each in headers if not each.lower().startswith(("host:", "connection:"))]
        begin = [f"{method} /{bucket}{path} {version}", f"Host: 127.0.0.1:{self._behind}", "Connection: close"]
        await self.relay(self._behind, "\r\n".join([*begin, *kept, "", ""]).encode("latin-1"), reader, writer)
