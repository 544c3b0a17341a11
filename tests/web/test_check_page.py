"""The page of the connection check in Chromium, with the media of a generated picture and tone through real Janus."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from portico.core.check_code import decode
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

DONE_WITHIN = 60_000
"""Milliseconds: the measurement takes ten seconds."""


FLOOD = """async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const drawing = canvas.getContext("2d");
  setInterval(() => {
    for (let n = 0; n < 2000; n++) {
      drawing.fillStyle = `#${Math.floor(Math.random() * 4096).toString(16).padStart(3, "0")}`;
      drawing.fillRect(Math.random() * 640, Math.random() * 360, 9, 9);
    }
  }, 40);
  const connection = new RTCPeerConnection();
  connection.addTrack(canvas.captureStream(25).getTracks()[0]);
  await connection.setLocalDescription();
  const socket = new WebSocket(`${location.href.replace("http", "ws")}/socket`);
  socket.onopen = () => socket.send(JSON.stringify({ check: "begin" }));
  socket.onmessage = async ({ data }) => {
    const message = JSON.parse(data);
    const { sdp: offer } = connection.localDescription;
    if (message.check === "begun") socket.send(JSON.stringify({ check: "offer", path: "direct", sdp: offer }));
    if (message.check !== "answer") return;
    const number = /^a=rtpmap:(\\d+) VP8/m.exec(message.sdp)[1];
    const fast = `a=fmtp:${number} x-google-min-bitrate=8000;x-google-start-bitrate=8000;x-google-max-bitrate=8000`;
    const sdp = message.sdp.replace(/^(a=rtpmap:\\d+ VP8.*)$/m, `$1\\r\\n${fast}`).replace(/\\r+\\n/g, "\\r\\n");
    await connection.setRemoteDescription({ type: "answer", sdp });
  };
  return new Promise((resolve) => { socket.onclose = ({ code }) => resolve(code); });
}"""
"""Sends a picture at 8 Mbit/s through the echo, whatever rate the server asks for; gives the close code."""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("check") / "data", media_interface=loopback) as server:
        yield server


async def test_a_good_network_from_start_to_end(server: PorticoServer, browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(viewport={"width": 900, "height": 1000})
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    await page.goto(f"{server.base_url}/check")
    await page.get_by_test_id("start").click()
    await expect(page.get_by_test_id("check")).to_have_attribute("data-phase", "done", timeout=DONE_WITHIN)
    await page.screenshot(path=tmp_path / "check.png", full_page=True)
    verdict = page.get_by_test_id("verdict")
    await expect(verdict).to_contain_text("Calls work: media reaches the server directly over UDP")
    for step in ("microphone", "camera", "socket", "direct"):
        await expect(page.get_by_test_id(f"step-{step}")).to_have_attribute("data-mark", "good")
    # How good the figures are depends on the machine that runs the test.
    await expect(page.get_by_test_id("step-quality")).to_have_text(re.compile(r"up .*% lost · down .*% lost · \d+ ms"))
    await expect(page.get_by_role("img", name="Bit rate")).to_be_visible()
    for step in ("udp", "tcp", "tls"):
        await expect(page.get_by_test_id(f"step-{step}")).to_contain_text("this server has no relay")
    facts = decode(await page.get_by_test_id("code").inner_text()).facts
    assert (facts["browser"], facts["system"]) == ("Chrome", "Linux")
    assert facts["measured path"] == "direct over UDP"
    assert "unknown" not in (facts["round trip"], facts["loss to the server"], facts["loss back"])
    assert faults == []


async def test_a_check_that_sends_too_much_is_ended(server: PorticoServer, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto(f"{server.base_url}/check")
    assert await page.evaluate(FLOOD) == 1008
    assert "it sends too much" in server.log
