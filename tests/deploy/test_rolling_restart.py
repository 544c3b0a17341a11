"""Two servers behind HAProxy, restarted one after the other: no request is lost, and no call for long."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from portico.client.endings import RejoinPlan, ending_of
from portico.signaling.effects import CloseCode
from tests.databases import PostgresCluster
from tests.deploy.proxies import EXAMPLES
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer, free_port

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.one_janus]
ROOT = Path(__file__).parents[2]
ROOMS, PEOPLE = 3, 2
GONE_SECS = 3.0
"""The longest that a participant may be without a call."""
EVERY_SECS = 0.05
"""The time between two requests, whether the ones before are answered or not."""


class Proxy:
    """Where HAProxy listens."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}"


@pytest.fixture
def servers(
    own_postgres: PostgresCluster, tmp_path: Path, portico: type[PorticoServer]
) -> Iterator[list[PorticoServer]]:
    own_postgres.execute("CREATE DATABASE rolling")
    settings = {
        "api_key": "KEY-of-two-servers",
        "database_url": own_postgres.url("rolling"),
        "trusted_proxies": "127.0.0.1",
        "hand_over_after_secs": "2",
    }
    one, other = portico(tmp_path / "one", **settings), portico(tmp_path / "two", **settings)
    with one, other:
        yield [one, other]


@pytest_asyncio.fixture
async def proxy(servers: list[PorticoServer], tmp_path: Path) -> AsyncIterator[Proxy]:
    """HAProxy with the example of deploy/proxies, without TLS."""
    port = free_port()
    text = (EXAMPLES / "haproxy-servers.cfg").read_text()
    for was, becomes in [
        ("bind :443 ssl crt /etc/haproxy/video.example.com.pem", f"bind 127.0.0.1:{port}"),
        ("10.0.0.1:8080", f"127.0.0.1:{servers[0].port}"),
        ("10.0.0.2:8080", f"127.0.0.1:{servers[1].port}"),
        ("set-header X-Forwarded-Proto https", "set-header X-Forwarded-Proto http"),
    ]:
        assert was in text
        text = text.replace(was, becomes)
    (tmp_path / "haproxy.cfg").write_text(text)
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-f", str(tmp_path / "haproxy.cfg"), "-db"], stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession() as http:
            deadline = time.monotonic() + 30
            while True:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "haproxy.log").read_text()
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"http://127.0.0.1:{port}/healthz") as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.05)
        yield Proxy(port)
    finally:
        process.terminate()
        process.wait(30)


class Load:
    """Requests at a fixed rate, as clients that do not wait for each other send them."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self.answers: list[str] = []

    async def run(self) -> None:
        """Send requests until cancelled; then wait for those under way."""
        tasks: list[asyncio.Task[None]] = []
        async with aiohttp.ClientSession(headers=self._headers) as http:
            try:
                while True:
                    tasks.append(asyncio.create_task(self._send(http, len(tasks) % 2 == 0)))
                    await asyncio.sleep(EVERY_SECS)
            finally:
                await asyncio.gather(*tasks)

    async def _send(self, http: aiohttp.ClientSession, creates: bool) -> None:
        try:
            request = http.post(f"{self._url}/v2/rooms", json={}) if creates else http.get(f"{self._url}/v2/rooms")
            async with request as answer:
                body = await answer.text()
                self.answers.append(str(answer.status) if answer.ok else f"{answer.status} {body} {time.monotonic()}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.answers.append(repr(error))


class Person:
    """A participant who rejoins as the meeting page and portico.client do."""

    def __init__(self, proxy: Proxy, rooms: Rooms, room_id: str) -> None:
        self._proxy, self._room_id = proxy, room_id
        self._token = rooms.token(room_id, token_ttl_secs=3600)
        self.gaps: list[float] = []
        self.codes: list[int | None] = []
        self.is_in = asyncio.Event()

    async def run(self) -> None:
        async with contextlib.AsyncExitStack() as first:
            browser = await self._join(first)
            while True:
                await browser.closed.wait()
                self.is_in.clear()
                lost_at = browser.closed_at
                self.codes.append(browser.close_code)
                plan: RejoinPlan | None = RejoinPlan(ending_of(browser.close_code or 1006), lost_at)
                while plan is not None:
                    await asyncio.sleep(plan.pause(random.random()))
                    try:
                        browser = await self._join(first)
                        break
                    except (Refused, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                        code = error.args[0] if isinstance(error, ClosedMeanwhile) else CloseCode.UNAVAILABLE
                        plan = plan.failed(ending_of(code), time.monotonic())
                self.gaps.append(time.monotonic() - lost_at)

    async def _join(self, stack: contextlib.AsyncExitStack) -> SignalingBrowser:
        browser = SignalingBrowser(self._proxy, self._room_id, self._token)
        await stack.enter_async_context(browser)
        joining, closed = asyncio.create_task(browser.join()), asyncio.create_task(browser.closed.wait())
        try:
            await asyncio.wait({joining, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not joining.done():
                raise ClosedMeanwhile(browser.close_code or 1006)
            await joining
        finally:
            joining.cancel()
            closed.cancel()
        self.is_in.set()
        return browser


class ClosedMeanwhile(ConnectionError):
    """The socket was closed, with this code, before its participant had joined."""


async def test_a_rolling_restart_loses_no_request_and_no_call_for_long(
    servers: list[PorticoServer], proxy: Proxy, tmp_path: Path
) -> None:
    rooms = Rooms(servers[0])
    people = [Person(proxy, rooms, room) for room in [rooms.create() for _ in range(ROOMS)] for _ in range(PEOPLE)]
    load = Load(proxy.base_url, servers[0].api_key)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(person.run()) for person in people]
        async with asyncio.timeout(60):
            await asyncio.gather(*(person.is_in.wait() for person in people))
        tasks.append(group.create_task(load.run()))
        await _restart_all(servers, tmp_path)
        async with asyncio.timeout(60):
            await asyncio.gather(*(person.is_in.wait() for person in people))
        for task in tasks:
            task.cancel()
    lost = [answer for answer in load.answers if answer not in ("200", "201")]
    assert load.answers and not lost, (lost, (tmp_path / "haproxy.log").read_text())
    gaps = [gap for person in people for gap in person.gaps]
    assert len(gaps) >= len(people), "each was on one of the two"
    assert {code for person in people for code in person.codes} == {CloseCode.RESTART}
    print(f"away for {max(gaps):.2f} s at most")
    assert max(gaps) < GONE_SECS, gaps


async def _restart_all(servers: list[PorticoServer], folder: Path) -> None:
    """script/rolling-restart; its commands ask this process to restart a server, and wait until it is stopped."""
    arguments = []
    for number, server in enumerate(servers):
        asked = folder / f"restart-{number}"
        arguments += [server.base_url, f"touch {asked}; while [ -e {asked} ]; do sleep 0.1; done"]
    process = await asyncio.create_subprocess_exec(str(ROOT / "script/rolling-restart"), *arguments)
    for number, server in enumerate(servers):
        async with asyncio.timeout(180):
            while not (folder / f"restart-{number}").exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        os.kill(server.pid, signal.SIGTERM)
        assert await asyncio.to_thread(server.wait) == 0
        (folder / f"restart-{number}").unlink()
        await asyncio.to_thread(server.start)
    async with asyncio.timeout(180):
        assert await process.wait() == 0
