"""The one Chromium of a test run, which keeps its traffic on this machine and its media on loopback."""

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, async_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Media on loopback, with addresses that Janus can read.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    # Chromium slows the timers of hidden pages down, which these pages are.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]


def installed_chromium() -> str | None:
    """Debian's Chromium, or None for the one that Playwright brought along."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.asynccontextmanager
async def chromium(*reachable: str) -> AsyncIterator[Browser]:
    """Debian's Chromium, or the one that Playwright brought along. It finds this machine and `reachable` alone."""
    # The SDK names a public STUN server: it must not be found.
    found = "".join(f" , EXCLUDE {host}" for host in ("127.0.0.1", *reachable))
    flags = [*FLAGS, f"--host-resolver-rules=MAP * ~NOTFOUND{found}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=installed_chromium(), args=flags)
        try:
            yield browser
        finally:
            await browser.close()
