"""How long joining takes the unmodified SDK in Chromium: through Portico and on a bare Janus, in turn, in one run.

Run it as `python -m benchmarks.join [--joins 30] [--json FILE]`.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import tempfile
import urllib.parse
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser
from telnyx import AsyncTelnyx

from tests.e2e.bare_janus import bare_janus
from tests.e2e.browser import chromium
from tests.e2e.loopback import media_interface
from tests.e2e.page_server import page_server
from tests.e2e.person import GREEN, Person
from tests.servers import PorticoServer

STOPWATCH = Path(__file__).parent / "join.js"
STEPS = ("initialized", "connected", "subscribed", "first_frame")
JOIN_WITHIN_SECS = 30.0

Times = dict[str, float]


@dataclass(frozen=True)
class Way:
    """One way to join: where the SDK is led, into which room, with which token, with or without the text channel."""

    name: str
    connect_js: str
    room_id: str
    token: str
    messages: bool
    publisher: Person


async def measure(browser: Browser, site: str, way: Way) -> Times:
    """One join in a fresh tab, in milliseconds from the opened WebSocket."""
    context = await browser.new_context()
    try:
        page = await context.new_page()
        await page.goto(f"{site}/?connect={urllib.parse.quote(way.connect_js, safe='')}")
        await page.add_script_tag(path=STOPWATCH, type="module")
        await page.wait_for_function("globalThis.measureJoin !== undefined", timeout=10_000)
        config = {"roomId": way.room_id, "clientToken": way.token, "enableMessages": way.messages}
        order = "([config, publisher]) => measureJoin(config, publisher)"
        async with asyncio.timeout(JOIN_WITHIN_SECS):
            times: Times = await page.evaluate(order, [config, way.publisher.id])
            return times
    finally:
        await context.close()


async def _publisher(browser: Browser, site: str, connect_js: str, room_id: str, token: str, messages: bool) -> Person:
    """A participant who is already there and shows a camera."""
    person = await Person.open(browser, site, connect_js, "the one who is there")
    await person.join(room_id, token, messages=messages)
    await person.publish(tone=440, colour=GREEN, rate=30)
    return person


@asynccontextmanager
async def ways(browser: Browser, site: str, janus_bin: str | None) -> AsyncIterator[tuple[list[Way], Path]]:
    """Portico with and without messages, and a bare Janus, all beside each other; and the Janus program of them all."""
    async with AsyncExitStack() as stack:
        interface = stack.enter_context(media_interface())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-join-")))
        chosen = {} if janus_bin is None else {"JANUS_BIN": janus_bin}
        server = stack.enter_context(PorticoServer(folder / "data", media_interface=interface, **chosen))
        program = Path(f"/proc/{server.descendants('janus')[0]}/exe").resolve()
        janus = await stack.enter_async_context(bare_janus(interface, str(program)))
        rest = await stack.enter_async_context(AsyncTelnyx(api_key=server.api_key, base_url=f"{server.base_url}/v2"))
        made = []
        for name, messages in (("portico", True), ("portico, no messages", False)):
            room = (await rest.rooms.create()).data
            assert room is not None and room.id is not None
            pass_ = (await rest.rooms.actions.generate_join_client_token(room.id, token_ttl_secs=3600)).data
            assert pass_ is not None and pass_.token is not None
            made.append((name, f"{server.base_url}/connect.js", room.id, pass_.token, messages))
        bare_room = str(uuid.uuid4())
        await janus.create_room(bare_room)
        made.append(("bare Janus, no messages", f"{site}/direct.js?to={janus.websocket_url}", bare_room, "none", False))
        yield [Way(*way, publisher=await _publisher(browser, site, *way[1:])) for way in made], program


def summary(results: dict[str, list[Times]]) -> dict[str, dict[str, dict[str, float]]]:
    """Median and 95th percentile of every step of every way, in milliseconds."""
    answer = {}
    for way, joins in results.items():
        columns = {step: sorted(join[step] for join in joins) for step in STEPS}
        answer[way] = {
            step: {
                "median": round(statistics.median(column), 1),
                "p95": round(column[max(0, -(-95 * len(column) // 100) - 1)], 1),  # nearest rank
            }
            for step, column in columns.items()
        }
    return answer


def _machine(browser_version: str, janus_program: Path) -> dict[str, Any]:
    janus = subprocess.run([janus_program, "--version"], check=False, capture_output=True, text=True)
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "chromium": browser_version,
        "janus": (janus.stdout or janus.stderr).partition("\n")[0],
        "load_average": os.getloadavg(),
    }


def _print(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'milliseconds since the WebSocket opened':42}" + "".join(f"{step:>24}" for step in STEPS))
    for way, steps in figures.items():
        cells = (f"{steps[step]['median']:8.0f} (p95 {steps[step]['p95']:6.0f})" for step in STEPS)
        print(f"{way:42}" + "".join(f"{cell:>24}" for cell in cells))
    reference = figures["bare Janus, no messages"]["first_frame"]["median"]
    for way in ("portico, no messages", "portico"):
        print(f"{way} against bare Janus: x {figures[way]['first_frame']['median'] / reference:.2f}")


async def run(joins: int, janus_bin: str | None, json_file: Path | None) -> None:
    """Measures, prints and, if asked, writes everything as JSON."""
    results: dict[str, list[Times]] = {}
    with page_server() as site:
        async with chromium() as browser, ways(browser, site, janus_bin) as (all_ways, program):
            machine = _machine(browser.version, program)
            for way in all_ways:
                await measure(browser, site, way)  # the first join of each warms caches and is not counted
            for _ in range(joins):
                for way in all_ways:
                    results.setdefault(way.name, []).append(await measure(browser, site, way))
    figures = summary(results)
    print(json.dumps(machine))
    _print(figures)
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine, "figures": figures, "joins": results}, indent=1))


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joins", type=int, default=30, help="joins of each way (default: 30)")
    parser.add_argument("--janus", help="Janus program for both; default: the one that Portico finds")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    asyncio.run(run(options.joins, options.janus, options.json))


if __name__ == "__main__":
    main()
