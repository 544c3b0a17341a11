"""The meeting page and another application with the SDK meet in one room."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import Call
from tests.e2e.meeting import WITHIN_MS, enter, expect_moving
from tests.e2e.person import GREEN, RED

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _tile(page: Page, name: str) -> Locator:
    return page.locator(f'[data-testid=tile][data-name="{name}"]')


async def test_page_and_application_meet(call: Call) -> None:
    found = re.search(r"http://\S+/meet/([0-9a-f-]{36})#\S+", call.server.log)
    assert found, call.server.log
    call.room_id = found[1]
    anna, ben = await enter(call, found[0], "Anna"), await enter(call, found[0], "Ben")
    try:
        await expect_moving(_tile(anna, "Ben"))
        await expect_moving(_tile(ben, "Anna"))

        cleo = await call.join(context='{"username": "Cleo"}')
        await cleo.publish(tone=440, colour=GREEN)
        for page in (anna, ben):
            tile = page.locator(f'[data-testid=tile][data-participant-id="{cleo.id}"]')
            await expect_moving(tile)

        await anna.get_by_test_id("chat-toggle").click()
        await anna.get_by_test_id("chat-input").fill("hello from the page")
        await anna.get_by_test_id("chat-send").click()
        message = await cleo.wait_for("message_received")
        assert "hello from the page" in str(message.args[1])
        await ben.get_by_test_id("chat-toggle").click()
        await expect(ben.get_by_test_id("chat-log")).to_contain_text("hello from the page", timeout=WITHIN_MS)

        await anna.get_by_test_id("leave").click()
        await cleo.wait_for("participant_left")
        await expect(_tile(ben, "Anna")).to_have_count(0, timeout=WITHIN_MS)
        await cleo.update(tone=440, colour=RED)
        assert not cleo.happened("page_error"), cleo.diary()
    except BaseException:
        for page in (anna, ben):
            print(await page.locator("body").aria_snapshot())
        raise
    finally:
        await anna.context.close()
        await ben.context.close()


_LOSES = """() => {
  const send = RTCDataChannel.prototype.send;
  let count = 0;
  // The first message does not leave the page, and must be sent again; the one after that arrives twice.
  RTCDataChannel.prototype.send = function (text) {
    if (JSON.parse(text).textroom === "message") count += 1;
    else return send.call(this, text);
    if (count > 1) send.call(this, text);
    if (count > 2) send.call(this, text);
  };
}"""


async def test_a_message_that_is_lost_is_sent_again_and_shown_once(call: Call) -> None:
    found = re.search(r"http://\S+/meet/([0-9a-f-]{36})#\S+", call.server.log)
    assert found, call.server.log
    call.room_id = found[1]
    anna, ben = await enter(call, found[0], "Anna"), await enter(call, found[0], "Ben")
    try:
        await expect_moving(_tile(ben, "Anna"))
        await anna.evaluate(_LOSES)
        await anna.get_by_test_id("chat-toggle").click()
        await ben.get_by_test_id("chat-toggle").click()
        log = ben.get_by_test_id("chat-log")
        for text in ("lost once", "sent twice"):
            await anna.get_by_test_id("chat-input").fill(text)
            await anna.get_by_test_id("chat-send").click()
            await expect(log).to_contain_text(text, timeout=WITHIN_MS)
        # Messages are in order: when Ben's own message is shown, all messages before it have arrived.
        await ben.get_by_test_id("chat-input").fill("the last one")
        await ben.get_by_test_id("chat-send").click()
        await expect(log).to_contain_text("the last one", timeout=WITHIN_MS)
        assert [(await log.inner_text()).count(text) for text in ("lost once", "sent twice")] == [1, 1]
    finally:
        await anna.context.close()
        await ben.context.close()
