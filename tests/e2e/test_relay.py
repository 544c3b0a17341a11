"""The unmodified SDK in Chromium, by a relay of ours alone: media flow over each path to it."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.conftest import Call, calls
from tests.e2e.person import GREEN, RED, Person
from tests.edge.turn_client import allocate, error_of, login
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

BY_RELAY = """(() => {
  const path = %r;
  const isPath = (url) => url.startsWith(path.scheme) && url.endsWith(path.transport);
  const made = (globalThis.made = []);
  globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, {
    construct(target, [settings, ...rest], newTarget) {
      const onPath = (server) => ({ ...server, urls: [server.urls].flat().filter(isPath) });
      const iceServers = settings.iceServers.map(onPath);
      const chosen = { ...settings, iceServers, iceTransportPolicy: "relay" };
      const connection = Reflect.construct(target, [chosen, ...rest], newTarget);
      made.push(connection);
      return connection;
    },
  });
})()"""
"""Runs before connect.js: leaves the page one way to the relay, and no other way to the server."""

PATHS = """async () => Promise.all(made.map(async (connection) => {
  const stats = [...(await connection.getStats()).values()];
  const pair = stats.find(({ id }) => id === stats.find(({ type }) => type === "transport")?.selectedCandidatePairId);
  const { candidateType, relayProtocol } = stats.find(({ id }) => id === pair?.localCandidateId) ?? {};
  return `${candidateType} ${relayProtocol}`;
}))"""


@pytest.fixture(scope="module")
def server(relay_server: PorticoServer) -> PorticoServer:
    return relay_server


@pytest_asyncio.fixture(loop_scope="session")
async def call(server: PorticoServer, browser: Browser, site: str) -> AsyncIterator[Call]:
    async for call in calls(server, browser, site):
        yield call


async def arrive(call: Call, script: Path) -> Person:
    connect_js = f"{call.server.base_url}/connect.js"
    person = await Person.open(call.browser, call.site, connect_js, "Anna", first_script=script)
    call.people.append(person)
    return await person.join(call.room_id, await call.token())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_media_flow_by_the_relay_over_each_path(call: Call, tmp_path: Path, transport: str) -> None:
    await call.create_room()
    script = tmp_path / "by_relay.js"
    script.write_text(BY_RELAY % {"scheme": "turn:", "transport": f"transport={transport}"})
    anna, ben = await arrive(call, script), await arrive(call, script)
    await anna.publish(tone=440, colour=RED)
    await ben.perceive(anna, colour=RED, tone=440)
    await ben.publish(colour=GREEN)
    await anna.perceive(ben, colour=GREEN)
    for person in (anna, ben):
        used = await person.page.evaluate(PATHS)
        assert set(used) == {f"relay {transport}"}, used
    assert await figure(call, "portico_relay_addresses_used") >= len(used)


async def test_the_servers_in_the_first_answer_open_a_relay_to_janus_only(call: Call) -> None:
    port = int(call.server.settings["turn_port"])
    secret = (call.server.data_dir / "edge" / "turn-secret").read_text()
    assert await error_of(allocate(("127.0.0.1", port), login(secret))) is None
    assert await error_of(allocate(("127.0.0.1", port), login(secrets.token_hex(32)))) == 401
    relayed = await allocate(("127.0.0.1", port), login(secret))
    try:
        assert await error_of(relayed.permit("127.0.0.1", call.server.port)) == 403
    finally:
        await relayed.close()


async def figure(call: Call, name: str) -> float:
    """One of those at /metrics."""
    text = (await call.rest._client.get(f"{call.server.base_url}/metrics")).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))
