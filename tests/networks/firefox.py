"""Firefox on a machine of the lab, driven by WebDriver BiDi, https://www.w3.org/TR/webdriver-bidi."""

import asyncio
import contextlib
import itertools
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.namespaces import Namespace
from tests.networks.calls import STOPWATCH, WITHIN_SECS, Reach, Route
from tests.networks.machines import with_names
from tests.waiting import until

PROGRAM = "firefox-esr"
_PORT = 9222
_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False,
}


class Firefox:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._tab = ""

    @classmethod
    async def begin(cls, socket: aiohttp.ClientWebSocketResponse) -> Self:
        """A session in which every certificate is accepted and each page has the stopwatch."""
        self = cls(socket)
        await self._command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        tree = await self._command("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]
        script = f"() => {{ {STOPWATCH.read_text()} }}"
        await self._command("script.addPreloadScript", functionDeclaration=script)
        return self

    async def visit(self, address: str) -> None:
        """Open a page; return when it is loaded."""
        await self._command("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """The JSON value of an expression, or of the promise that it is."""
        answer = await self._command(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify((await ({expression})) ?? null)",
            target={"context": self._tab},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    async def until(self, expression: str) -> Any:
        """Wait until the expression is true; returns its value."""
        return await until(lambda: self.evaluate(expression), WITHIN_SECS, expression)

    async def _command(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(WITHIN_SECS):
            while (message := await self._socket.receive_json()).get("id") != number:
                pass
        assert message["type"] == "success", message
        return message["result"]


@contextlib.asynccontextmanager
async def firefox(machine: Namespace, folder: Path, reach: Reach) -> AsyncIterator[Firefox]:
    """A Firefox that knows the names of that server; only for an event loop on the same machine."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [*with_names(machine, folder, reach.hosts), "env", f"HOME={folder}", PROGRAM, "--headless"]
    command += ["--no-remote", "--profile", str(profile), "--remote-debugging-port", str(_PORT), "about:blank"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(WITHIN_SECS * 4):
            socket = await _connected(http)
            async with socket:
                yield await Firefox.begin(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), WITHIN_SECS)


async def _connected(http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(WITHIN_SECS):
        while True:
            try:
                return await http.ws_connect(f"ws://127.0.0.1:{_PORT}/session", max_msg_size=0)
            except (OSError, aiohttp.ClientError):
                await asyncio.sleep(0.1)


async def join_meeting(browser: Firefox, reach: Reach, name: str) -> tuple[int, set[str]]:
    """Join on the meeting page; milliseconds to the first frame of another participant, and the routes."""
    await browser.visit(reach.meeting_link)
    await browser.until("document.querySelector('[data-testid=camera][data-on=true]') !== null")
    await browser.evaluate(
        "(() => { const box = document.querySelector('[data-testid=name]');"
        f" Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(box, {json.dumps(name)});"
        " box.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    await browser.until("!document.querySelector('[data-testid=join]').disabled")
    await browser.evaluate("document.querySelector('[data-testid=join]').click()")
    first = await browser.until("stopwatch.marks.first_frame")
    return first, {str(Route.read(report)) for report in await browser.evaluate("stopwatch.paths()")}
