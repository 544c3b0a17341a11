"""The built console in Chromium against a running server: API key, sessions, and a composition from request to file."""

import asyncio
import hashlib
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from portico.core.object_keys import content_type, recording_key
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import api_keys, compositions, nodes, recordings, sessions
from portico.services.nodes import NodeAddress, NodeLoad
from portico.services.participants import Joined
from portico.storage.open import open_store
from portico.web import pages
from tests.converter import pictures
from tests.factories import a_gateway, a_participant, a_room, row
from tests.recorded import converted, link, over, recording_of, started
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOWN_WITHIN = 20_000
"""Milliseconds."""
COMPLETED_WITHIN = 90_000
READS_EVERY = 10_000
SECONDS = 40.0
"""Length of the recordings: long enough for a composition of them to show several steps of progress."""
WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const bar = document.querySelector("[data-testid=progress]");
    if (bar) window.seen.push(bar.getAttribute("aria-valuenow"));
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    assert (pages.ASSETS / "console.html").exists(), "The page is not built: run script/setup."
    with portico(tmp_path_factory.mktemp("console") / "data", composition_quality="fast") as server:
        yield server


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {
        "video": pictures.encode(folder / "camera.webm", f"testsrc2=s=320x180:r=15:d={SECONDS}"),
        "audio": pictures.tone(folder / "voice.ogg", 440, SECONDS),
    }


@asynccontextmanager
async def database_of(server: PorticoServer) -> AsyncIterator[Database]:
    """A connection to the database of the running server."""
    db = open_database(f"sqlite:///{server.data_dir}/portico.db")
    try:
        yield db
    finally:
        await db.close()


async def a_session(server: PorticoServer, name: str, files: dict[str, Path], *, ago: timedelta) -> str:
    """The id of an ended session in the room `name`; its participant Anna has these files as recordings."""
    now = datetime.now(UTC) - ago
    async with database_of(server) as db:

        def begin(tx: Transaction) -> Joined:
            return a_participant(tx, a_room(tx, unique_name=name, now=now), context='{"username": "Anna"}', now=now)

        joined = await db.write(begin)
        for kind, file in files.items():
            await _record(db, server, joined, kind, file, now)
        await db.write(partial(over, session_id=joined.session_id, now=now + timedelta(seconds=SECONDS)))
    return joined.session_id


async def _record(db: Database, server: PorticoServer, joined: Joined, kind: str, file: Path, now: datetime) -> None:
    recording_id = await db.write(partial(started, participant_id=joined.participant_id, kind=kind, now=now))
    key = recording_key(joined.session_id, recording_id, file.suffix[1:])
    store = open_store(None, server.data_dir, secret=b"", base_url=server.base_url)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    await store.put(file, key, content_type(key), sha256)

    def complete(tx: Transaction) -> None:
        mjr_name = row(tx, schema.room_recordings, recording_id).mjr_name
        assert recordings.discard(tx, recording_of(tx, mjr_name, "audio" if kind == "video" else "video"))
        made = converted(tx, recording_id, seconds=SECONDS, size_bytes=file.stat().st_size)
        saved = replace(made, object_key=key, sha256=sha256)
        assert recordings.complete(tx, recording_id, saved, link, now=now + timedelta(seconds=SECONDS))

    await db.write(complete)


def participant_of_another_gateway(tx: Transaction) -> Joined:
    """A participant in an active session of another gateway, which the server takes for alive for five minutes."""
    now = datetime.now(UTC)
    return a_participant(tx, a_room(tx), gateway_id=a_gateway(tx, now + timedelta(minutes=5)), now=now)


async def a_failed_composition(server: PorticoServer, session_id: str, failure: str) -> None:
    def create_and_fail(tx: Transaction) -> None:
        account_id = row(tx, schema.room_sessions, session_id).account_id
        now, body = datetime.now(UTC), {"session_id": session_id}
        composition = compositions.create(tx, account_id, body, regions_max=16, sound_by_default=True, now=now)
        assert compositions.fail(tx, composition.id, failure, now=now)

    async with database_of(server) as db:
        await db.write(create_and_fail)


async def visit(browser: Browser, server: PorticoServer, key: str, *, width: int = 1280) -> Page:
    """The console after this key was typed and submitted."""
    context = await browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    await page.clock.install()
    await page.goto(f"{server.base_url}/console")
    await expect(page.get_by_test_id("key")).to_be_focused()
    await page.keyboard.type(key)
    await page.keyboard.press("Enter")
    return page


async def shortly_before_next_read(page: Page) -> None:
    """Set the page's clock to 1 s before its next read, so that a request under way does not time out."""
    await page.clock.fast_forward(READS_EVERY - 1_000)


async def test_a_composition_shows_its_progress_and_then_its_file(
    browser: Browser, server: PorticoServer, sources: dict[str, Path]
) -> None:
    session_id = await a_session(server, "Stand-up", sources, ago=timedelta(minutes=5))
    page = await visit(browser, server, server.api_key)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    session = page.locator(f'[data-testid=session][data-id="{session_id}"]')
    await expect(session.locator("h2")).to_have_text("Stand-up", timeout=SHOWN_WITHIN)
    await expect(session.get_by_test_id("recording")).to_have_count(2)
    await expect(session.get_by_test_id("recording").first).to_contain_text("Anna")
    await expect(session.get_by_test_id("recording").first).to_contain_text("0:40")

    await page.evaluate(WATCH)
    await session.get_by_test_id("create").focus()
    await page.keyboard.press("Enter")
    composition = session.get_by_test_id("composition")
    await expect(composition).to_have_attribute("data-status", "completed", timeout=COMPLETED_WITHIN)
    seen = [int(value) for value in await page.evaluate("window.seen") if value is not None]
    assert seen == sorted(seen) and any(0 < percent < 100 for percent in seen), seen
    await expect(composition).to_contain_text("0:40")
    await expect(composition.get_by_test_id("progress")).to_have_count(0)

    await composition.get_by_test_id("play").click()
    await expect(composition.locator("video")).to_have_js_property("videoWidth", 1280, timeout=SHOWN_WITHIN)
    address = await composition.get_by_test_id("download").get_attribute("href")
    assert address is not None
    with await asyncio.to_thread(urllib.request.urlopen, address, timeout=10) as answer:
        assert answer.read(8)[4:] == b"ftyp"
    assert problems == []
    await page.context.close()


async def test_a_failed_composition_shows_why_and_the_page_fits_a_telephone(
    browser: Browser, server: PorticoServer, sources: dict[str, Path]
) -> None:
    sound = {"audio": sources["audio"]}
    session_id = await a_session(server, "A-rather-long-name-" * 4, sound, ago=timedelta(minutes=50))
    await a_failed_composition(server, session_id, "No recording of it could be read.")
    page = await visit(browser, server, server.api_key, width=360)
    session = page.locator(f'[data-testid=session][data-id="{session_id}"]')
    await expect(session.get_by_test_id("failure")).to_have_text(
        "No recording of it could be read.", timeout=SHOWN_WITHIN
    )
    await expect(session.get_by_test_id("create")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    await page.context.close()


async def test_new_and_ended_sessions_appear_while_the_page_is_open(browser: Browser, server: PorticoServer) -> None:
    page = await visit(browser, server, server.api_key)
    await expect(page.get_by_role("heading", name="Sessions and compositions")).to_be_visible()
    await expect(page.get_by_test_id("open")).to_have_count(0)
    async with database_of(server) as db:
        joined = await db.write(participant_of_another_gateway)
        session = page.locator(f'[data-testid=session][data-id="{joined.session_id}"]')
        await shortly_before_next_read(page)
        await expect(session).to_contain_text("Live", timeout=SHOWN_WITHIN)
        await expect(session.get_by_test_id("create")).to_have_count(0)
        await page.context.set_offline(True)
        await shortly_before_next_read(page)
        await expect(page.get_by_test_id("problem")).to_contain_text("does not answer", timeout=SHOWN_WITHIN)
        await expect(session).to_contain_text("Live")
        end = partial(sessions.end, session_id=joined.session_id, ended_reason="Ended from API", left_reason="left")
        await db.write(partial(end, now=datetime.now(UTC)))
    await page.context.set_offline(False)
    await expect(session).to_contain_text("Nothing was recorded.", timeout=SHOWN_WITHIN)
    await expect(page.get_by_test_id("problem")).to_have_count(0)
    await page.context.close()


async def test_an_answer_that_is_not_the_servers_shows_a_problem_and_is_repeated(
    browser: Browser, server: PorticoServer, sources: dict[str, Path]
) -> None:
    await a_session(server, "Behind-a-proxy", {"audio": sources["audio"]}, ago=timedelta(minutes=1))
    page = await visit(browser, server, server.api_key)
    session = page.get_by_role("heading", name="Behind-a-proxy")
    await expect(session).to_be_visible(timeout=SHOWN_WITHIN)
    lists = "**/v2/room_sessions?*"
    await page.route(lists, lambda route: route.fulfill(status=200, content_type="text/html", body="<p>Please log in"))
    await shortly_before_next_read(page)
    await expect(page.get_by_test_id("problem")).to_contain_text(
        "The answer does not come from Portico. Trying again.", timeout=SHOWN_WITHIN
    )
    await expect(session).to_be_visible()
    await page.unroute(lists)
    await shortly_before_next_read(page)
    await expect(page.get_by_test_id("problem")).to_have_count(0, timeout=SHOWN_WITHIN)
    await page.context.close()


async def test_the_key_stays_in_the_tab(browser: Browser, server: PorticoServer) -> None:
    page = await visit(browser, server, server.api_key)
    await expect(page.get_by_test_id("close")).to_be_visible()
    await page.reload()
    await expect(page.get_by_test_id("close")).to_be_visible()
    assert await page.evaluate("localStorage.length") == 0 and await page.context.cookies() == []
    other = await page.context.new_page()
    await other.goto(f"{server.base_url}/console")
    await expect(other.get_by_test_id("key")).to_be_visible()
    await page.get_by_test_id("close").click()
    await expect(page.get_by_test_id("key")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    await page.context.close()


@pytest.mark.parametrize("key", ["wrong", "ключ…"])
async def test_a_wrong_key_is_refused_in_one_sentence(browser: Browser, server: PorticoServer, key: str) -> None:
    page = await visit(browser, server, key)
    await expect(page.get_by_test_id("notice")).to_contain_text("This API key is not valid.", timeout=SHOWN_WITHIN)
    await expect(page.get_by_test_id("key")).to_be_focused()
    await page.context.close()


async def test_media_nodes_are_drained_resumed_and_removed_by_the_operator_alone(
    browser: Browser, server: PorticoServer
) -> None:
    """Rows as agents write them; `cluster/` proves what becomes of the rooms on a node."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # no server takes them for dead

    def add(tx: Transaction) -> str:
        for node_id in ("aaaaaaaa", "bbbbbbbb"):
            nodes.register(
                tx, node_id, NodeAddress("ws://10.0.0.5:8188", None, "key", None, "/mjr", "1.4.1"), now=tomorrow
            )
        nodes.beat(tx, "bbbbbbbb", 1, NodeLoad(cpu=0.42, packets=5200, shortage="The disk is full."), now=tomorrow)
        return api_keys.create(tx, "another", datetime.now(UTC))

    async with database_of(server) as db:
        foreign_key = await db.write(add)
        page = await visit(browser, server, server.api_key)
        first, second = (page.locator(f'[data-testid=node][data-id="{each}"]') for each in ("aaaaaaaa", "bbbbbbbb"))
        await expect(second).to_contain_text("load 0.4 · 5,200 packets/s · Janus 1.4.1", timeout=SHOWN_WITHIN)
        await expect(second).to_contain_text("The disk is full.")
        for button, state in (("drain", "draining"), ("resume", "active")):
            await first.get_by_test_id(button).click()
            await expect(first).to_have_attribute("data-state", state, timeout=SHOWN_WITHIN)
        await first.get_by_test_id("ask-remove").click()
        await first.get_by_test_id("remove").click()
        await expect(first).to_have_attribute("data-state", "removed", timeout=SHOWN_WITHIN)
        await expect(first.get_by_role("button")).to_have_count(0)
        assert [each.state for each in await db.read(nodes.all_nodes)] == ["removed", "active"]
        await page.context.close()
        page = await visit(browser, server, foreign_key)
        await expect(page.locator(".first-read")).to_contain_text("no sessions yet", timeout=SHOWN_WITHIN)
        await expect(page.get_by_test_id("nodes")).to_have_count(0)
        await page.context.close()
