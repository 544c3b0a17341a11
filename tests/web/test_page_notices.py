"""The meeting page shows that a call is recorded, keeps the screen on, and makes addresses in the chat links."""

import re
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.servers import PorticoServer
from tests.web.test_meeting_page import JOINS_WITHIN, SEES_WITHIN, post, sees, tile_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

WATCH_LOCKS = """
window.locks = [];
const { request } = WakeLock.prototype;
WakeLock.prototype.request = async function (...kind) {
  const lock = await request.apply(this, kind);
  window.locks.push(lock);
  return lock;
};
"""
HELD = "window.locks.filter((lock) => !lock.released).length"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    folder = tmp_path_factory.mktemp("manners") / "data"
    with portico(folder, media_interface=loopback) as server:
        yield server


def set_recording(server: PorticoServer, room: str, recording: bool) -> None:
    headers = {"Authorization": f"Bearer {server.api_key}", "Content-Type": "application/json"}
    body = f'{{"enable_recording": {str(recording).lower()}}}'.encode()
    request = urllib.request.Request(f"{server.base_url}/v2/rooms/{room}", body, headers, method="PATCH")
    urllib.request.urlopen(request, timeout=20).close()


async def lobby(browser: Browser, server: PorticoServer, room: str, script: str = "") -> Page:
    """The page of a guest who has not joined yet and knows the room's name."""
    token = post(server, f"/v2/rooms/{room}/actions/generate_join_client_token", {})["token"]
    context = await browser.new_context()
    page = await context.new_page()
    await page.add_init_script(script)
    await page.goto(f"{server.base_url}/meet/{room}#token={token}")
    await expect(page.get_by_role("heading")).to_have_text("Planning", timeout=SEES_WITHIN)
    await expect(page.get_by_test_id("camera")).to_have_attribute("data-on", "true", timeout=SEES_WITHIN)
    await page.get_by_test_id("name").fill("Anna")
    return page


@pytest.fixture
def room(server: PorticoServer) -> Iterator[str]:
    """A room that does not record; it is deleted afterwards, so that the next one can have its name."""
    room = post(server, "/v2/rooms", {"unique_name": "Planning"})["id"]
    yield room
    request = urllib.request.Request(
        f"{server.base_url}/v2/rooms/{room}", headers={"Authorization": f"Bearer {server.api_key}"}, method="DELETE"
    )
    urllib.request.urlopen(request, timeout=20).close()


async def test_guests_know_that_they_are_recorded_before_and_during_the_call(
    browser: Browser, server: PorticoServer, room: str
) -> None:
    set_recording(server, room, True)
    anna = await lobby(browser, server, room)
    await expect(anna.get_by_test_id("recorded")).to_contain_text("This meeting is recorded.")
    await expect(anna.get_by_role("button", name="Join")).to_have_accessible_description(re.compile("recorded"))
    await anna.get_by_test_id("join").click()
    await sees(anna, "Anna")
    await expect(anna.get_by_role("banner").get_by_test_id("recorded")).to_be_visible()
    # Whether a session is recorded is settled when it begins: the room's new setting counts for the next one.
    set_recording(server, room, False)
    ben = await lobby(browser, server, room)
    await expect(ben.get_by_test_id("recorded")).to_be_visible()
    for page in (anna, ben):
        await page.context.close()


async def test_recording_that_was_enabled_after_the_lobby_opened_asks_for_a_second_join(
    browser: Browser, server: PorticoServer, room: str
) -> None:
    anna = await lobby(browser, server, room)
    await expect(anna.get_by_test_id("recorded")).to_have_count(0)
    set_recording(server, room, True)
    await anna.get_by_test_id("join").click()
    await expect(anna.get_by_test_id("notice")).to_contain_text("recorded now", timeout=SEES_WITHIN)
    await expect(anna.get_by_test_id("recorded")).to_be_visible()
    await anna.get_by_test_id("join").click()
    await expect(anna.get_by_role("banner").get_by_test_id("recorded")).to_be_visible(timeout=JOINS_WITHIN)
    await anna.context.close()


async def test_a_call_that_is_not_recorded_keeps_the_screen_lit_and_has_links_that_lead_out(
    browser: Browser, server: PorticoServer, room: str
) -> None:
    anna = await lobby(browser, server, room, WATCH_LOCKS)
    await expect(anna.get_by_test_id("recorded")).to_have_count(0)
    assert await anna.evaluate(HELD) == 0
    await anna.get_by_test_id("join").click()
    await expect(tile_of(anna, "Anna")).to_have_count(1, timeout=JOINS_WITHIN)
    await expect(anna.get_by_test_id("recorded")).to_have_count(0)
    await anna.wait_for_function(f"() => {HELD} === 1", timeout=SEES_WITHIN)

    address = f"{server.base_url}/healthz"
    await anna.get_by_test_id("chat-toggle").click()
    await anna.get_by_test_id("chat-input").fill(f"<b>look</b>: {address}, javascript:alert(1)")
    await anna.get_by_test_id("chat-send").click()
    line = anna.get_by_test_id("chat-line")
    await expect(line).to_contain_text(f"<b>look</b>: {address}, javascript:alert(1)", timeout=SEES_WITHIN)
    await expect(line.get_by_role("link")).to_have_text([address])
    async with anna.context.expect_page() as opened:
        await line.get_by_role("link").click()
    other = await opened.value
    await other.wait_for_load_state()
    assert other.url == address
    assert await other.evaluate("[window.opener, document.referrer]") == [None, ""]
    await expect(tile_of(anna, "Anna")).to_have_count(1)

    await anna.get_by_test_id("leave").click()
    await anna.wait_for_function(f"() => {HELD} === 0", timeout=SEES_WITHIN)
    await anna.context.close()
