"""The official SDKs verify what we send, in the programs of examples/, and refuse what was altered."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core import samples, webhook
from portico.worker.webhooks.sender import Sender
from tests.api.serving import Served, serving
from tests.contract.node_sdk import installed

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE_PACKAGES = Path(__file__).parent / "node"
STARTS_WITHIN_SECS = 60
Command = list[str]


@pytest.fixture(scope="module")
def node_example(request: pytest.FixtureRequest) -> Command:
    """The example beside an installed SDK; the installation is kept for the next run."""
    assert request.config.cache is not None
    node, program = installed(request.config.cache.mkdir("node-sdk"), NODE_PACKAGES, EXAMPLES / "verify_webhook.mjs")
    return [node, str(program)]


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("published") / "portico.db")
    with serving(f"sqlite:///{path}") as running:
        yield running


@pytest.fixture(scope="module")
def published(served: Served) -> str:
    """The public key as the API reports it."""
    headers = {"Authorization": f"Bearer {served.world.key}"}
    answer = httpx.get(f"{served.base_url}/v2/public_key", headers=headers, timeout=STARTS_WITHIN_SECS)
    key: str = answer.json()["data"]["public"]
    return key


@pytest.fixture
def key(served: Served) -> Ed25519PrivateKey:
    """The private key of the server."""
    return served.world.webhook_keys.current(datetime.now(UTC))


@pytest.fixture(scope="module", params=["python", "node"])
def url(request: pytest.FixtureRequest, published: str) -> Iterator[str]:
    """Where the example of each SDK runs, which knows the published key."""
    if request.param == "python":
        command = [sys.executable, str(EXAMPLES / "verify_webhook.py")]
    else:
        command = request.getfixturevalue("node_example")
    with subprocess.Popen(
        [*command, "0"], env=os.environ | {"TELNYX_PUBLIC_KEY": published}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Listening on "), line
            yield line.split()[-1]
        finally:
            process.kill()


def some_event(event_type: str) -> str:
    """With characters that are spelled in more than one way in JSON."""
    payload = asdict(samples.sample(event_type, lambda: str(uuid4())))
    if "context" in payload:
        payload["context"] = 'Zo\u00eb \U0001f600 \ud83d "\\u0041" \u2028 </script>'
    now = datetime.now(UTC)
    return webhook.event_json(event_id=str(uuid4()), event_type=event_type, occurred_at=now, payload=payload)


async def test_what_is_sent_is_believed(key: Ed25519PrivateKey, url: str) -> None:
    sender = Sender(clock=lambda: datetime.now(UTC), allow_internal=True)
    await sender.start()
    try:
        for number, event_type in enumerate(samples.EVENT_TYPES, start=1):
            data = some_event(event_type)
            outcome = await sender.send(url, data, attempt=number, key=key, timeout_secs=30)
            assert (outcome.delivered, outcome.response_body) == (True, "ok"), outcome
    finally:
        await sender.close()


async def test_what_was_altered_is_not(key: Ed25519PrivateKey, url: str) -> None:
    now = datetime.now(UTC)
    data = some_event("video.room.session.ended")
    async with httpx.AsyncClient(timeout=STARTS_WITHIN_SECS) as client:
        body = webhook.body(data, attempt=1, delivered_to=url)
        headers = webhook.headers(key, body, now=now)
        later = str(int(headers["telnyx-timestamp"]) + 1)
        old = webhook.headers(key, body, now=now - timedelta(seconds=301))
        other = webhook.headers(Ed25519PrivateKey.generate(), body, now=now)
        attempts = {
            "as it is": (body, headers, 200),
            "one byte": (body.replace(b'"stale"', b'"stalE"'), headers, 400),
            "a blank": (body.replace(b'{"data":', b'{"data": '), headers, 400),
            "another attempt": (webhook.body(data, attempt=2, delivered_to=url), headers, 400),
            "another time": (body, headers | {"telnyx-timestamp": later}, 400),
            "too old": (body, old, 400),
            "another key": (body, other, 400),
            "no signature": (body, {"telnyx-timestamp": headers["telnyx-timestamp"]}, 400),
        }
        answers = {
            name: (await client.post(url, content=content, headers=sent)).status_code
            for name, (content, sent, _) in attempts.items()
        }
    assert answers == {name: expected for name, (_, _, expected) in attempts.items()}
