"""One attempt: what arrives, what is recorded, and that attempts do not touch one another."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.core import webhook
from portico.worker.webhooks.sender import BODY_BYTES, Sender
from tests.clocks import Clock
from tests.pace import Pace
from tests.receiver import OK, Receiver, hang, held, redirect, retry_after, slow, status
from tests.waiting import WITHIN_SECS
from tests.worker.webhooks.conftest import DATA, PUBLIC, a_sender, now, sent
from tests.worker.webhooks.outbox import taking


async def test_what_arrives(sender: Sender) -> None:
    async with Receiver() as receiver:
        await sent(sender, receiver.url, attempt=3)
        [request] = receiver.requests
    assert (request.method, request.target) == ("POST", "/hook")
    assert request.data_bytes == DATA.encode()
    assert request.json == {"data": json.loads(DATA), "meta": {"attempt": 3, "delivered_to": receiver.url}}
    assert request.headers.keys() == {
        "host",
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "telnyx-timestamp",
        "telnyx-signature-ed25519",
        "user-agent",
    }
    assert (request.headers["content-type"], request.headers["user-agent"]) == ("application/json", "telnyx-webhooks")


async def test_the_official_sdk_verifies_what_arrives(sender: Sender) -> None:
    async with Receiver() as receiver:
        await sent(sender, receiver.url)
        [request] = receiver.requests
    event = request.unwrap(PUBLIC)
    assert event.data.event_type == "video.room.participant.joined"
    assert event.data.payload["context"] == "Zoë"
    with pytest.raises(ValueError, match="does not match"):
        request.unwrap(webhook.public_key(Ed25519PrivateKey.generate()))


async def test_each_attempt_is_signed_anew_over_the_same_data() -> None:
    instants = iter(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(8))
    async with a_sender(clock=lambda: next(instants)) as sender, Receiver(status(500), status(500)) as receiver:
        for attempt in (1, 2, 3):
            await sent(sender, receiver.url, attempt=attempt)
        first, second, third = receiver.requests
    for request in receiver.requests:
        request.check_signature(PUBLIC)
    assert first.data_bytes == second.data_bytes == third.data_bytes
    assert [request.json["meta"]["attempt"] for request in receiver.requests] == [1, 2, 3]
    assert len({request.headers["telnyx-timestamp"] for request in receiver.requests}) == 3


@pytest.mark.parametrize("code", [200, 201, 202, 204, 206, 299])
async def test_any_2xx_is_delivered(sender: Sender, code: int) -> None:
    async with Receiver(status(code)) as receiver:
        outcome = await sent(sender, receiver.url)
    assert (outcome.status, outcome.error, outcome.delivered, outcome.stop) == (code, None, True, False)


@pytest.mark.parametrize("code", [300, 304, 400, 401, 404, 410, 429, 500, 503, 600, 999])
async def test_any_other_status_is_a_failure(sender: Sender, code: int) -> None:
    async with Receiver(status(code)) as receiver:
        outcome = await sent(sender, receiver.url)
    assert (outcome.status, outcome.error, outcome.delivered) == (code, f"answered {code}", False)
    assert outcome.stop == (code == 410)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(sender: Sender, code: int) -> None:
    async with Receiver() as elsewhere, Receiver(redirect(elsewhere.url, code)) as receiver:
        outcome = await sent(sender, receiver.url)
    assert outcome.error == f"answered {code}: redirects are not followed"
    assert not outcome.delivered
    assert elsewhere.connections == 0


async def test_what_is_recorded(sender: Sender) -> None:
    before = now()
    async with Receiver(status(500, b"no\0t \xff now", x_why="tired")) as receiver:
        outcome = await sent(sender, receiver.url)
        assert outcome.url == receiver.url
        assert outcome.request_headers["telnyx-timestamp"] == receiver.requests[0].headers["telnyx-timestamp"]
    assert before <= outcome.started_at <= outcome.finished_at <= now()
    assert outcome.response_body == "not � now"
    assert outcome.response_headers == {"x-why": "tired", "content-length": "10"}
    assert outcome.retry_after is None


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_step_of_the_clock_is_not_in_the_duration(step: timedelta) -> None:
    clock = Clock(now())
    start = clock.now
    async with a_sender(clock=clock) as sender, Receiver(taking(clock, step)) as receiver:
        began = time.monotonic()
        outcome = await sent(sender, receiver.url)
        took = timedelta(seconds=time.monotonic() - began)
    assert outcome.started_at == start
    assert timedelta(0) < outcome.finished_at - start <= took


async def test_cookies_are_not_kept(sender: Sender) -> None:
    async with Receiver(status(200, set_cookie="a=b")) as receiver:
        outcome = await sent(sender, receiver.url)
        await sent(sender, receiver.url)
    assert outcome.response_headers["set-cookie"] == "a=b"
    assert "cookie" not in receiver.requests[1].headers


async def test_proxies_of_the_environment_are_not_used(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await sent(sender, receiver.url)).delivered
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_headers_are_capped(sender: Sender) -> None:
    many = {f"x_{number}": "v" * 1000 for number in range(60)}
    async with Receiver(status(200, b"", **many)) as receiver:
        outcome = await sent(sender, receiver.url)
    assert outcome.delivered
    assert len(outcome.response_headers) == 32
    assert {len(value) for value in outcome.response_headers.values()} == {200}


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"x" * BODY_BYTES, "x" * BODY_BYTES),
        (b"x" * (BODY_BYTES + 1), "x" * BODY_BYTES),
        ("é".encode() * BODY_BYTES, "é" * (BODY_BYTES // 2)),
        (b"x" + "é".encode() * BODY_BYTES, "x" + "é" * (BODY_BYTES // 2 - 1)),  # a character cut in two is left out
        (b"short \xc3", "short �"),
    ],
)
async def test_the_body_is_capped(sender: Sender, body: bytes, kept: str) -> None:
    async with Receiver(status(500, body)) as receiver:
        assert (await sent(sender, receiver.url)).response_body == kept


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        (retry_after("120"), timedelta(minutes=2)),
        (retry_after("120", 429), timedelta(minutes=2)),
        (retry_after("later"), None),
        (retry_after("999999999"), timedelta(hours=1)),
        (retry_after("120", 200), None),
    ],
)
async def test_retry_after(sender: Sender, answer: object, pause: timedelta | None) -> None:
    async with Receiver(answer) as receiver:  # type: ignore[arg-type]
        assert (await sent(sender, receiver.url)).retry_after == pause


async def test_a_connection_is_used_again(sender: Sender) -> None:
    async with Receiver(status(200, b"thanks"), status(500), status(204)) as receiver:
        for _ in range(10):
            await sent(sender, receiver.url)
    assert receiver.connections == 1


async def test_a_connection_with_an_unread_rest_is_not(sender: Sender) -> None:
    async with Receiver(status(200, b"x" * 100_000)) as receiver:
        await sent(sender, receiver.url)
        await sent(sender, receiver.url)
    assert receiver.connections == 2


async def test_a_receiver_that_went_away_and_returned(sender: Sender) -> None:
    async with Receiver() as receiver:
        assert (await sent(sender, receiver.url)).delivered
        await receiver.stop()
        gone = await sent(sender, receiver.url)
        await receiver.start()
        assert (await sent(sender, receiver.url)).delivered
    assert (gone.status, gone.error, gone.delivered) == (None, "connection refused", False)


async def test_the_timeout(sender: Sender) -> None:
    """Two seconds where the room says nothing or zero (contract section 6.4)."""
    clock = asyncio.get_running_loop().time

    async def tried(timeout_secs: int | None, limit: int) -> None:
        began = clock()
        async with Pace() as pace:
            outcome = await sent(sender, receiver.url, timeout_secs=timeout_secs)
        assert (outcome.status, outcome.error) == (None, f"timed out after {limit} s")
        assert limit <= clock() - began and pace.secs < limit + 1

    async with Receiver(otherwise=hang()) as receiver:
        await asyncio.gather(tried(None, 2), tried(0, 2), tried(1, 1))


async def test_an_answer_within_the_timeout_counts(sender: Sender) -> None:
    async with Receiver(slow(1.2)) as receiver:
        assert (await sent(sender, receiver.url, timeout_secs=10)).delivered


async def test_hundreds_that_hang_hold_up_no_other(sender: Sender) -> None:
    release = asyncio.Event()
    async with Receiver(otherwise=held(release)) as hanging, Receiver() as fast:
        slow_ones = [asyncio.create_task(sent(sender, hanging.url, timeout_secs=30)) for _ in range(300)]
        await hanging.wait_for(300, WITHIN_SECS)
        for _ in range(20):
            assert (await sent(sender, fast.url)).delivered
        assert not any(task.done() for task in slow_ones)
        release.set()
        assert all([(await task).delivered for task in slow_ones])


async def test_cancelling_an_attempt_ends_it_and_its_connection(sender: Sender) -> None:
    async with Receiver(hang(), OK) as receiver:
        task = asyncio.create_task(sent(sender, receiver.url, timeout_secs=30))
        await receiver.wait_for(1, WITHIN_SECS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await sent(sender, receiver.url)).delivered
        assert receiver.connections == 2


async def test_closing_ends_what_is_under_way() -> None:
    async with Receiver(hang()) as receiver, a_sender() as sender:
        task = asyncio.create_task(sent(sender, receiver.url, timeout_secs=30))
        await receiver.wait_for(1, WITHIN_SECS)
        await sender.close()
        outcome = await asyncio.wait_for(task, WITHIN_SECS)
        assert not outcome.delivered and outcome.error
        assert (await sent(sender, receiver.url)).error == "the server is shutting down"


BAD_URLS = [
    "",
    "/",
    "example",
    "http://",
    "http:///path",
    "//127.0.0.1/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "unix:///run/x",
    "ws://127.0.0.1:99999/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:port/",
    "http://[::1",
    "http://[]/",
    "http://[1.2.3.4]/",
    "http://.../",
    "http://a..b.invalid/",
    f"http://{'a' * 70}.invalid/",
    f"http://{'a.' * 200}invalid/",
    "http://\ud800/",
    "http://xn--/",
    "http://a b/",
    "http://a\0b/",
    "http://a\r\nb/",
    "http://\u0661\u0662/",
    "http://256.256.256.256/",
    "http://127.0.0.1:0/",
    "http://user:p\u00e4ss:x@/",
    "javascript:alert(1)",
    "\0",
]


@pytest.mark.parametrize("url", BAD_URLS)
async def test_a_bad_url_is_a_failed_attempt(sender: Sender, url: str) -> None:
    outcome = await sent(sender, url)
    assert outcome.error and outcome.error.isprintable() and len(outcome.error) <= 300
    assert (outcome.url, outcome.status, outcome.delivered) == (url, None, False)
    assert "unexpected" not in outcome.error and "could not be sent" not in outcome.error


@pytest.mark.parametrize("path", ["/ä b?q=ü&r=%20#fragment", "/%zz/\ud800", "/%2F..%2f", "/a\tb", "/日本"])
async def test_odd_paths_arrive_as_something(sender: Sender, path: str) -> None:
    async with Receiver(path=path) as receiver:
        outcome = await sent(sender, receiver.url)
        if outcome.delivered:
            assert receiver.requests[0].target.isascii()
            assert receiver.requests[0].json["meta"]["delivered_to"] == receiver.url
        else:
            assert outcome.error is not None and outcome.error.startswith("the URL cannot be used")


# Without digits no text can be an address out there, and internal ones are refused.
no_digits = st.text(st.characters(exclude_categories=["Nd", "Nl", "No"]), max_size=30)


@settings(max_examples=3 * settings().max_examples // 2, deadline=None)
@given(
    url=st.one_of(
        no_digits,
        no_digits.map(lambda text: f"http://{text}.invalid/"),
        no_digits.map(lambda text: f"https://[{text}]/"),
        st.text(max_size=30).map(lambda text: f"http://127.0.0.1:1/{text}"),
        st.text(max_size=30).map(lambda text: f"http://127.0.0.1:{text}"),
    )
)
def test_no_url_raises(url: str) -> None:
    async def attempt() -> None:
        async with a_sender(allow_internal=False) as sender:
            outcome = await sent(sender, url)
            assert outcome.error and "could not be sent" not in outcome.error
            outcome.error.encode()

    asyncio.run(attempt())
