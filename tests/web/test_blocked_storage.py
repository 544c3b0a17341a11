"""Chromium with all site data blocked, as its settings offer: both pages work and remember until they are closed."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.e2e.browser import FLAGS
from tests.servers import PorticoServer
from tests.web.test_meeting_page import JOINS_WITHIN, SEES_WITHIN, tile_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLOCK = 2
"""Of a content setting of Chromium."""
IS_BLOCKED = """() => ["localStorage", "sessionStorage"].every((area) => {
  try { return window[area] === null; } catch (error) { return error.name === "SecurityError"; }
})"""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    folder = tmp_path_factory.mktemp("blocked") / "data"
    with portico(folder, api_key="a key with blanks", media_interface=loopback) as server:
        yield server


@asynccontextmanager
async def blocked_page(program: str | None, profile: Path, address: str) -> AsyncIterator[Page]:
    """A page of a browser whose user has blocked site data."""
    settings = profile / "Default" / "Preferences"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"profile": {"default_content_setting_values": {"cookies": BLOCK}}}))
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(profile, executable_path=program, args=FLAGS)
        try:
            page = context.pages[0]
            await page.goto(address)
            assert await page.evaluate(IS_BLOCKED), "this Chromium did not block anything"
            yield page
        finally:
            await context.close()


async def test_one_can_join_a_meeting(server: PorticoServer, chromium_program: str | None, tmp_path: Path) -> None:
    async with blocked_page(chromium_program, tmp_path, server.meeting_link) as page:
        await page.get_by_test_id("name").fill("Anna")
        await page.get_by_test_id("join").click()
        await expect(tile_of(page, "Anna")).to_have_count(1, timeout=JOINS_WITHIN)
        await page.get_by_test_id("leave").click()
        await page.get_by_test_id("rejoin").click()
        await expect(page.get_by_test_id("name")).to_have_value("Anna")


async def test_one_can_open_the_console_with_a_key_that_has_blanks(
    server: PorticoServer, chromium_program: str | None, tmp_path: Path
) -> None:
    async with blocked_page(chromium_program, tmp_path, f"{server.base_url}/console") as page:
        await page.get_by_test_id("key").fill(server.api_key)
        await page.get_by_test_id("open").click()
        await expect(page.locator(".first-read, [data-testid=session]").first).to_be_visible(timeout=SEES_WITHIN)
        await expect(page.locator("body")).not_to_contain_text("not valid", timeout=SEES_WITHIN)
        await expect(page.get_by_text("Loading")).to_have_count(0, timeout=SEES_WITHIN)
        await page.get_by_test_id("close").click()
        await expect(page.get_by_test_id("key")).to_be_visible()
