"""The meeting page after a lost call: it rejoins, waits for a seat, and does not rejoin after a kick or an end."""

import base64
import contextlib
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.loopback import lost_media
from tests.servers import PorticoServer
from tests.web.test_meeting_page import JOINS_WITHIN, SEES_WITHIN, enter, post, sees, tile_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACK_WITHIN = 60_000
"""Milliseconds; the longest pause between two tries is 18 s, a join takes a few more under load."""
MEDIA_LOST_WITHIN = 90_000
PAUSE_SECS = 7
"""A pause between two tries that is long enough to be cut short."""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, loopback: str | None, portico: type[PorticoServer]
) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("back") / "data", media_interface=loopback) as server:
        yield server


@pytest.fixture(scope="module")
def link(server: PorticoServer) -> str:
    return server.meeting_link


def replace_token_key(server: PorticoServer) -> None:
    """Make every token of the stopped server invalid, as if all had expired."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    with contextlib.closing(sqlite3.connect(server.data_dir / "portico.db")) as db, db:
        assert db.execute("UPDATE signing_keys SET secret = ? WHERE purpose = 'token'", (secret,)).rowcount == 1


async def seconds_left(page: Page) -> int:
    """Until the next try; 0 while the page tries."""
    found = re.search(r"in (\d+) s", await page.get_by_test_id("countdown").inner_text())
    return int(found[1]) if found else 0


async def pauses(page: Page, secs: int) -> None:
    """Waits until the page is in a pause that has so many seconds left."""
    end = time.monotonic() + BACK_WITHIN / 1000
    while await seconds_left(page) < secs:
        assert time.monotonic() < end, await page.locator("body").aria_snapshot()
        await page.wait_for_timeout(50)


async def test_after_an_upgrade_the_page_is_back_with_a_fresh_token_and_its_messages(
    browser: Browser, server: PorticoServer, link: str
) -> None:
    anna = await enter(browser, link, "Anna")
    await sees(anna, "Anna")
    await anna.get_by_test_id("chat-toggle").click()
    await anna.get_by_test_id("chat-input").fill("before the upgrade")
    await anna.get_by_test_id("chat-send").click()
    await expect(anna.get_by_test_id("chat-log")).to_contain_text("before the upgrade", timeout=SEES_WITHIN)
    server.stop()
    status = anna.get_by_test_id("status")
    await expect(status).not_to_have_attribute("data-state", "in-call", timeout=SEES_WITHIN)
    await expect(anna.get_by_test_id("countdown")).to_be_visible()
    await pauses(anna, 3)  # after tries in vain
    replace_token_key(server)
    server.restart()
    await sees(anna, "Anna")
    await expect(anna.get_by_test_id("notice")).to_have_text("You are back in the call.")
    await expect(anna.get_by_test_id("chat-log")).to_contain_text("before the upgrade")
    await anna.context.close()


async def test_when_the_network_returns_the_page_tries_at_once(
    browser: Browser, server: PorticoServer, link: str
) -> None:
    anna = await enter(browser, link, "Anna")
    await sees(anna, "Anna")
    server.kill9()
    await anna.context.set_offline(True)
    await expect(anna.get_by_test_id("notice")).to_contain_text("offline", timeout=SEES_WITHIN)
    server.restart()
    await pauses(anna, PAUSE_SECS)
    await anna.context.set_offline(False)
    await expect(anna.locator("[data-testid=countdown][data-trying=true]")).to_be_visible(timeout=2_000)
    await sees(anna, "Anna")
    await anna.context.close()


async def test_a_full_room_is_joined_as_soon_as_a_seat_is_free(browser: Browser, server: PorticoServer) -> None:
    room = post(server, "/v2/rooms", {"max_participants": 2})["id"]
    token = post(server, f"/v2/rooms/{room}/actions/generate_join_client_token", {})["token"]
    address = f"{server.base_url}/meet/{room}#token={token}"
    anna, dora = await enter(browser, address, "Anna"), await enter(browser, address, "Dora")
    await sees(anna, "Anna", "Dora")
    ben, cleo = await enter(browser, address, "Ben"), await enter(browser, address, "Cleo")
    for page in (ben, cleo):
        await expect(page.get_by_test_id("status")).to_have_text("This room is full", timeout=JOINS_WITHIN)
        await expect(page.get_by_test_id("notice")).to_contain_text("as soon as another participant leaves")
    await cleo.get_by_test_id("stop").click()
    await expect(cleo.get_by_test_id("rejoin")).to_be_visible()
    await anna.get_by_test_id("leave").click()
    await expect(tile_of(ben, "Ben")).to_have_count(1, timeout=BACK_WITHIN)
    await expect(cleo.get_by_test_id("status")).to_have_attribute("data-state", "full")
    for page in (anna, ben, cleo, dora):
        await page.context.close()


@pytest.mark.parametrize(("action", "state"), [("end", "ended"), ("kick", "removed")])
async def test_the_page_does_not_rejoin_after_a_kick_or_an_end(
    browser: Browser, server: PorticoServer, link: str, action: str, state: str
) -> None:
    room = link.rpartition("/meet/")[2].partition("#")[0]
    anna = await enter(browser, link, "Anna")
    await sees(anna, "Anna")
    [session] = [one for one in server.get(f"/v2/rooms/{room}/sessions")["data"] if one["active"]]
    post(
        server,
        f"/v2/room_sessions/{session['id']}/actions/{action}",
        {"participants": "all"} if action == "kick" else {},
    )
    await expect(anna.get_by_test_id("status")).to_have_attribute("data-state", state, timeout=SEES_WITHIN)
    assert await anna.get_by_test_id("countdown").count() == 0
    assert await anna.get_by_test_id("rejoin").count() == 1
    await anna.context.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a route of its own")
async def test_when_media_are_lost_the_page_shows_it_and_rejoins(
    browser: Browser, loopback: str | None, link: str
) -> None:
    """The signaling works on: a firewall drops UDP."""
    if loopback is None:
        pytest.skip("no media interface of its own")
    anna = await enter(browser, link, "Anna")
    await sees(anna, "Anna")
    with lost_media(loopback):
        await expect(anna.get_by_test_id("interrupted")).to_be_visible(timeout=MEDIA_LOST_WITHIN)
        await expect(anna.get_by_test_id("countdown")).to_be_visible(timeout=MEDIA_LOST_WITHIN)
        await expect(anna.get_by_test_id("status")).to_have_text("Sound and picture were lost")
    await sees(anna, "Anna")
    await anna.context.close()
