"""Reading the hosted service: limits are waited for; a file that is gone is another thing than a refused key."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from portico.app.hosted_api import TRIES, FileRefused, HostedApi, HostedApiRefuses


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    """Answers /N/WHAT with 429 for N requests; then `file` is there, `gone` is 404 and `locked` is 403."""
    asked: dict[str, int] = {}

    async def answer(request: web.Request) -> web.Response:
        asked[request.path] = asked.get(request.path, 0) + 1
        if asked[request.path] <= int(request.match_info["limited"]):
            return web.Response(status=429, headers={"Retry-After": "0"})
        statuses = {"gone": 404, "locked": 403}
        return web.json_response({"data": {"id": "a"}}, status=statuses.get(request.match_info["what"], 200))

    app = web.Application()
    app.router.add_get("/{limited}/{what}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_a_limit_is_waited_for_however_often_it_is_reached(base_url: str, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        api = HostedApi(http, base_url, "key", lambda _: None)
        assert await api.one(f"/{2 * TRIES}/file") == {"id": "a"}
        size, _ = await api.download(f"{base_url}/{2 * TRIES + 1}/file", tmp_path / "file")
        assert size == len((tmp_path / "file").read_bytes()) > 0


@pytest.mark.parametrize(("what", "status"), [("gone", 404), ("locked", 403)])
async def test_a_file_that_is_refused_says_nothing_about_the_key(
    base_url: str, tmp_path: Path, what: str, status: int
) -> None:
    async with aiohttp.ClientSession() as http:
        api = HostedApi(http, base_url, "key", lambda _: None)
        with pytest.raises(FileRefused, match=f"HTTP {status}"):
            await api.download(f"{base_url}/0/{what}", tmp_path / "file")
        with pytest.raises(HostedApiRefuses, match="key is refused" if status == 403 else "/0/gone is answered"):
            await api.one(f"/0/{what}")
