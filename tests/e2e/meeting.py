"""The meeting page in Chromium, entered by its link."""

from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import Call

WITHIN_MS = 20_000
FRAMES = 5


async def enter(call: Call, link: str, name: str) -> Page:
    """The page of a participant of this name who has joined by the link."""
    context = await call.browser.new_context()
    page = await context.new_page()
    page.on("console", lambda message: print(f"{name}'s page: {message.type}: {message.text}"))
    await page.goto(link)
    await page.get_by_test_id("name").fill(name)
    await page.get_by_test_id("join").click()
    await expect(page.get_by_test_id("leave")).to_be_visible(timeout=WITHIN_MS)
    return page


async def expect_moving(tile: Locator) -> None:
    """The picture in the tile is being decoded."""
    await expect(tile.locator("video")).to_be_visible(timeout=WITHIN_MS)
    video = await tile.locator("video").element_handle(timeout=WITHIN_MS)
    assert video is not None
    script = f"(video) => video.getVideoPlaybackQuality().totalVideoFrames >= {FRAMES}"
    await tile.page.wait_for_function(script, arg=video, timeout=WITHIN_MS)
