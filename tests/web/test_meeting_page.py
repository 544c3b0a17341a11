"""The built meeting page in Chromium against a running server: a call by link, and every join that fails."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from portico.web import pages
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOINS_WITHIN = 40_000
"""Milliseconds; longer than the page's own deadline, so that a failure shows what the page says."""
SEES_WITHIN = 20_000
WATCH = """() => {
  const look = () => {
    const isLost = document.querySelector("[data-testid=status][data-state=lost]");
    if (isLost && document.querySelector("[data-testid=countdown]")) document.documentElement.dataset.showedLoss = "";
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
"""Marks the page once it has shown that the call is lost and when it tries again, which it shows only shortly."""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    assert (pages.ASSETS / "meet.html").exists(), "The page is not built: run script/setup."
    folder: Path = tmp_path_factory.mktemp("meeting") / "data"
    with portico(folder, media_interface=loopback) as server:
        yield server


@pytest.fixture(scope="module")
def link(server: PorticoServer) -> str:
    """The meeting link that `portico serve` prints."""
    return server.meeting_link


async def visit(browser: Browser, address: str) -> Page:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(address)
    return page


async def enter(browser: Browser, address: str, name: str) -> Page:
    """The page after Join was pressed, without waiting for the result."""
    page = await visit(browser, address)
    await expect(page.get_by_test_id("camera")).to_have_attribute("data-on", "true", timeout=SEES_WITHIN)
    await page.get_by_test_id("name").fill(name)
    await page.get_by_test_id("join").click()
    return page


async def sees(page: Page, *names: str) -> None:
    """Wait until exactly these participants have a tile with moving video."""
    tiles = page.get_by_test_id("tile")
    await expect(tiles).to_have_count(len(names), timeout=JOINS_WITHIN)
    for name in names:
        await expect(tile_of(page, name).locator("video.playing")).to_be_visible(timeout=SEES_WITHIN)


def tile_of(page: Page, name: str) -> Locator:
    return page.locator(f'[data-testid=tile][data-name="{name}"]')


def post(server: PorticoServer, path: str, body: dict[str, object]) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {server.api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.base_url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        data: dict[str, str] = json.load(answer)["data"]
        return data


async def test_two_participants_meet_chat_and_leave(browser: Browser, link: str) -> None:
    anna, ben = await enter(browser, link, "Anna"), await enter(browser, link, "Ben")
    await sees(anna, "Anna", "Ben")
    await sees(ben, "Anna", "Ben")
    await expect(tile_of(anna, "Anna")).to_have_attribute("data-self", "true")

    await anna.get_by_test_id("chat-toggle").click()
    await anna.get_by_test_id("chat-input").fill("Hello\u2026")
    await anna.get_by_test_id("chat-send").click()
    await expect(ben.get_by_test_id("unread")).to_have_text("1", timeout=SEES_WITHIN)
    await ben.get_by_test_id("chat-toggle").click()
    await expect(ben.get_by_test_id("chat-log")).to_contain_text("Hello\u2026")

    await ben.get_by_test_id("mic").click()
    await expect(tile_of(anna, "Ben")).to_have_attribute("data-microphone", "off", timeout=SEES_WITHIN)
    await ben.get_by_test_id("camera").click()
    await expect(tile_of(anna, "Ben")).to_have_attribute("data-camera", "off", timeout=SEES_WITHIN)
    await ben.get_by_test_id("camera").click()
    await sees(anna, "Anna", "Ben")

    await ben.get_by_test_id("leave").click()
    await expect(ben.get_by_test_id("status")).to_have_attribute("data-state", "left")
    await expect(anna.get_by_test_id("tile")).to_have_count(1, timeout=SEES_WITHIN)
    await ben.get_by_test_id("rejoin").click()
    await expect(ben.get_by_test_id("name")).to_have_value("Ben")
    await ben.context.close()
    await anna.context.close()


async def test_a_shared_screen_is_shown_beside_the_participants(browser: Browser, link: str) -> None:
    anna, ben = await enter(browser, link, "Anna"), await enter(browser, link, "Ben")
    await sees(anna, "Anna", "Ben")
    await sees(ben, "Anna", "Ben")
    await ben.get_by_test_id("screen").click()
    await expect(anna.locator("[data-testid=screen-tile] video.playing")).to_be_visible(timeout=SEES_WITHIN)
    await ben.get_by_test_id("screen").click()
    await expect(anna.get_by_test_id("screen-tile")).to_have_count(0, timeout=SEES_WITHIN)
    await ben.context.close()
    await anna.context.close()


async def test_without_camera_and_microphone_one_can_join(browser: Browser, link: str) -> None:
    context = await browser.new_context()
    await context.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('denied', 'NotAllowedError'))"
    )
    page = await context.new_page()
    await page.goto(link)
    await expect(page.get_by_test_id("notice")).to_contain_text("may not use your microphone and camera")
    await page.get_by_test_id("join").click()
    await expect(tile_of(page, "Guest")).to_have_count(1, timeout=JOINS_WITHIN)
    await context.close()


async def test_full_room_says_so(browser: Browser, server: PorticoServer) -> None:
    room = post(server, "/v2/rooms", {"max_participants": 2})["id"]

    def address() -> str:
        token = post(server, f"/v2/rooms/{room}/actions/generate_join_client_token", {})["token"]
        return f"{server.base_url}/meet/{room}#token={token}"

    anna, ben = await enter(browser, address(), "Anna"), await enter(browser, address(), "Ben")
    await sees(anna, "Anna", "Ben")
    cleo = await enter(browser, address(), "Cleo")
    await expect(cleo.get_by_test_id("status")).to_have_attribute("data-state", "full", timeout=JOINS_WITHIN)
    await expect(cleo.get_by_test_id("status")).to_have_text("This room is full")
    for page in (anna, ben, cleo):
        await page.context.close()


@pytest.mark.parametrize("fragment", ["", "#AAAAAAAAAAAAAAAAAAAAAA", "#not an invitation"])
async def test_wrong_link_says_so_at_once(browser: Browser, link: str, fragment: str) -> None:
    page = await visit(browser, link.split("#", maxsplit=1)[0] + fragment)
    await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "gone")
    await page.context.close()


async def test_bad_token_says_so(browser: Browser, link: str) -> None:
    page = await enter(browser, link.split("#", maxsplit=1)[0] + "#token=not.a.token", "Anna")
    await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "refused", timeout=JOINS_WITHIN)
    await page.context.close()


async def test_call_comes_back_by_itself_after_the_media_server_died(
    browser: Browser, server: PorticoServer, link: str
) -> None:
    anna = await enter(browser, link, "Anna")
    await sees(anna, "Anna")
    await anna.evaluate(WATCH)
    [janus] = server.descendants("janus")
    os.kill(janus, signal.SIGKILL)
    await expect(anna.locator("html[data-showed-loss]")).to_have_count(1, timeout=SEES_WITHIN)
    await sees(anna, "Anna")
    await anna.context.close()
