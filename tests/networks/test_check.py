"""The connection check where the network blocks UDP: its sentence, and the path that media take instead."""

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from portico.core.check_code import decode
from tests.namespaces import Namespace, missing
from tests.networks import lab as networks
from tests.networks.calls import Reach
from tests.networks.lab import NO_RELAY as SERVER
from tests.networks.lab import Lab
from tests.networks.machines import chromium_on, door
from tests.servers import PorticoServer
from tests.worker.webhooks.certificates import a_server

pytestmark = pytest.mark.asyncio(loop_scope="session")

DONE_WITHIN_MS = 90_000
SECRET = "a secret that server and relay share"
TURN_PORT, TURN_TLS_PORT = 3500, 3501
"""No ports that a relay of ours uses on the same machine."""
URLS = (
    f"turn:{SERVER}:{TURN_PORT}?transport=udp",
    f"turn:{SERVER}:{TURN_PORT}?transport=tcp",
    f"turns:{SERVER}:{TURN_TLS_PORT}?transport=tcp",
)


@contextlib.contextmanager
def coturn(machine: Namespace, folder: Path) -> Iterator[None]:
    """An operator's own TURN server on that machine, by UDP, TCP and TLS."""
    folder.mkdir(parents=True)
    a_server(folder, None, address=SERVER)
    (folder / "turnserver.conf").write_text(
        f"listening-port={TURN_PORT}\ntls-listening-port={TURN_TLS_PORT}\nlistening-ip={SERVER}\nrelay-ip={SERVER}\nmin-port=60000\nmax-port=60100\n"
        f"use-auth-secret\nstatic-auth-secret={SECRET}\nrealm=lab\ncert={folder}/receiver.pem\npkey={folder}/receiver.pem\nno-dtls\nno-cli\n"
        f"log-file={folder}/log\nsimple-log\npidfile={folder}/pid\nuserdb={folder}/users\n"
    )
    with (folder / "output").open("wb") as output:
        command = [*machine.prefix, "turnserver", "-c", str(folder / "turnserver.conf")]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def relayed(shared_lab: Lab, portico: type[PorticoServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reach]:
    """A server for which the operator has named that TURN server."""
    if lacks := missing("turnserver"):
        pytest.skip(lacks)
    machine, folder = shared_lab["norelay"], tmp_path_factory.mktemp("relayed")
    server = portico(
        folder / "data", prefix=machine.prefix, host="0.0.0.0", ice_servers=", ".join(URLS), ice_secret=SECRET
    )
    with coturn(machine, folder / "turn"), door(machine, server.port), server:
        yield Reach(server, f"http://{SERVER}:{server.port}")


async def run_check(browser: Browser, address: str) -> tuple[str, dict[str, str]]:
    """Run a check; returns its words and the facts of its code."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(address)
    await page.get_by_test_id("start").click()
    await expect(page.get_by_test_id("check")).to_have_attribute("data-phase", "done", timeout=DONE_WITHIN_MS)
    words = await page.get_by_test_id("verdict").inner_text()
    facts = decode(await page.get_by_test_id("code").inner_text()).facts
    await context.close()
    return words, facts


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(lab: Lab, chromium_program: str | None, tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser that accepts the TURN server's own certificate."""
    async with chromium_on(lab["four"], tmp_path / "browser", {}, "--ignore-certificate-errors") as browser:
        yield browser


async def test_a_network_that_blocks_udp(lab: Lab, relayed: Reach, chromium: Browser) -> None:
    """A visitor with a meeting's link tests the relay with media, one without tests whether it answers."""
    lab.set_filter(networks.NO_UDP)
    of_meeting = re.sub(r"/meet/(\S+)#", r"/check#\1/", relayed.meeting_link)
    (words, facts), (anonymous_words, anonymous_facts) = await asyncio.gather(
        run_check(chromium, of_meeting), run_check(chromium, f"{relayed.base_url}/check")
    )
    blocked = {"signaling": "works", "direct over UDP": "blocked", "relay over UDP": "blocked"}
    assert words.startswith("Your network blocks UDP; calls work through the relay over TCP")
    assert (
        facts.items()
        >= {**blocked, "relay over TCP": "works", "relay over TLS": "works", "measured path": "relay over TCP"}.items()
    )
    assert "unknown" not in (facts["round trip"], facts["loss back"])
    assert anonymous_words.startswith("Your network blocks UDP; the relay answers over TCP, TLS, so calls should work.")
    answers = "answers, media not tested"
    expected = {**blocked, "relay over TCP": answers, "relay over TLS": answers, "measured path": "not measured"}
    assert anonymous_facts.items() >= expected.items()
    # Without https there is no camera; the page says so, and the rest of the check goes on.
    assert facts["microphone"] == facts["camera"] == "only on https pages"
