"""Reads an account over the hosted service's API, at the pace that it allows."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

T = TypeVar("T")
PAGE = 250
TRIES = 6
"""The most tries of a request that gets no answer or a 5xx. After a 429 it is tried again without a limit."""
LONGEST_PAUSE_SECS = 300.0
WITHIN = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
PART_BYTES = 1 << 20


class HostedApiRefuses(Exception):
    """The API refuses a request, or does not answer; str() is a sentence that says why."""


class FileRefused(Exception):
    """The API has no file, or refuses it; str() is a clause that says why."""


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HostedApi:
    """One account of the hosted service."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, api_key: str, show: Callable[[str], None]) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._show = show

    async def each(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Iterate over all items of a list, page by page."""
        number = 1
        while True:
            answer = await self._get(f"{path}?page[size]={PAGE}&page[number]={number}")
            for item in answer["data"]:
                yield item
            if not answer["data"] or number >= answer["meta"]["total_pages"]:
                return
            number += 1

    async def one(self, path: str) -> dict[str, Any]:
        """Read one resource."""
        found: dict[str, Any] = (await self._get(path))["data"]
        return found

    async def download(self, url: str, path: Path) -> tuple[int, str]:
        """Download a file to `path`; returns its size in bytes and its SHA-256. Raises FileRefused."""

        async def save(answer: aiohttp.ClientResponse) -> tuple[int, str]:
            return await _save(answer, path)

        try:
            return await self._try(url, {}, save)
        except _Refused as refused:
            raise FileRefused(f"its file is answered with HTTP {refused.status}") from None

    async def _get(self, path: str) -> Any:
        try:
            return await self._try(self._base_url + path, self._headers, aiohttp.ClientResponse.json)
        except _Refused as refused:
            if refused.status in (401, 403):
                raise HostedApiRefuses(f"The API key is refused (HTTP {refused.status}).") from None
            raise HostedApiRefuses(f"{path.partition('?')[0]} is answered with HTTP {refused.status}.") from None

    async def _try(
        self, url: str, headers: dict[str, str], read: Callable[[aiohttp.ClientResponse], Awaitable[T]]
    ) -> T:
        """Try a request until it is answered; returns `read(answer)`. Raises _Refused and HostedApiRefuses."""
        tries = TRIES
        while True:
            tries -= 1
            try:
                async with self._http.get(url, headers=headers, timeout=WITHIN) as answer:
                    if answer.status == 200:
                        return await read(answer)
                    pause = self._pause(answer.status, answer.headers.get("Retry-After"), tries)
                    tries += answer.status == 429
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                pause = _after(error, tries)
            await asyncio.sleep(pause)

    def _pause(self, status: int, retry_after: str | None, left: int) -> float:
        """Seconds to wait before the next try. Raises _Refused when no other try is to be made."""
        if status != 429 and (status < 500 or left <= 0):
            raise _Refused(status)
        secs = float(retry_after) if retry_after and retry_after.isdigit() else 2.0 ** (TRIES - left)
        if status == 429:
            self._show(f"the API asks to wait for {secs:g} s")
        return min(secs, LONGEST_PAUSE_SECS)


async def _save(answer: aiohttp.ClientResponse, path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        async for part in answer.content.iter_chunked(PART_BYTES):
            digest.update(part)
            size += len(part)
            await asyncio.to_thread(file.write, part)
    return size, digest.hexdigest()


def _after(error: Exception, left: int) -> float:
    if left <= 0:
        raise HostedApiRefuses(f"The API does not answer: {error or type(error).__name__}.") from error
    return 2.0 ** (TRIES - left - 1)
