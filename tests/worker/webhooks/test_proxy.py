"""Webhooks through an HTTP proxy: what it is asked for, and that internal addresses stay as unreachable as without."""

from pathlib import Path

import pytest

from tests.proxy import Proxy
from tests.receiver import Receiver, status
from tests.worker.webhooks.certificates import a_server, an_authority
from tests.worker.webhooks.conftest import PUBLIC, a_sender, sent
from tests.worker.webhooks.test_internal_addresses import Names

AUTHORITY = an_authority()
TARGET = "/h%28x%29/a%2Fb?e=me%40x.example&sig=a%2Fb%2Bc%3D"


@pytest.mark.parametrize("user", [None, "me:p%40ss"])
async def test_plain_http_goes_in_absolute_form_byte_for_byte(user: str | None) -> None:
    async with Receiver() as receiver, Proxy(goes_to={"receiver.example": receiver.port}) as proxy:
        async with a_sender(proxy=proxy.url) as sender:
            outcome = await sent(sender, f"http://receiver.example{TARGET}")
        assert outcome.delivered, outcome.error
        assert proxy.asked == [f"POST http://receiver.example{TARGET} HTTP/1.1"]
        (request,) = receiver.requests
    assert (request.target, request.headers["host"]) == (TARGET, "receiver.example")
    request.check_signature(PUBLIC)


@pytest.mark.parametrize(("given", "delivered"), [("me:pass", True), ("me:wrong", False)])
async def test_a_proxy_may_want_a_password(given: str, delivered: bool) -> None:
    async with Receiver() as receiver, Proxy(user="me:pass") as proxy:
        async with a_sender(proxy=proxy.url.replace("me:pass", given)) as sender:
            outcome = await sent(sender, receiver.url)
        assert outcome.delivered == delivered
        if not delivered:
            assert outcome.status == 407


async def test_https_goes_through_a_tunnel_by_name(tmp_path: Path) -> None:
    tls = a_server(tmp_path, AUTHORITY, address="receiver.example")
    async with Receiver(tls=tls) as receiver, Proxy(goes_to={"receiver.example:443": receiver.port}) as proxy:
        async with a_sender(proxy=proxy.url, tls=AUTHORITY.trusted()) as sender:
            outcome = await sent(sender, f"https://receiver.example{TARGET}")
        assert outcome.delivered, outcome.error
        assert proxy.asked == ["CONNECT receiver.example:443 HTTP/1.1"]
        (request,) = receiver.requests
    assert (request.target, request.headers["host"]) == (TARGET, "receiver.example")


async def test_where_internal_addresses_are_refused_the_tunnel_leads_to_the_address_that_was_looked_at(
    tmp_path: Path,
) -> None:
    tls = a_server(tmp_path, AUTHORITY, address="receiver.example")
    names = Names("203.0.114.7")
    async with Receiver(tls=tls) as receiver, Proxy(goes_to={"203.0.114.7:443": receiver.port}) as proxy:
        async with a_sender(proxy=proxy.url, tls=AUTHORITY.trusted(), resolver=names, allow_internal=False) as sender:
            outcome = await sent(sender, f"https://receiver.example{TARGET}")
        assert outcome.delivered, outcome.error
        assert proxy.asked == ["CONNECT 203.0.114.7:443 HTTP/1.1"]
        (request,) = receiver.requests
    assert (request.target, request.headers["host"]) == (TARGET, "receiver.example")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("::ffff:127.0.0.1",)], ids=str)
async def test_internal_names_are_refused_before_the_proxy_is_asked(scheme: str, addresses: tuple[str, ...]) -> None:
    async with Proxy() as proxy:
        async with a_sender(proxy=proxy.url, allow_internal=False, resolver=Names(*addresses)) as sender:
            outcome = await sent(sender, f"{scheme}://innocent.example/")
        assert outcome.error is not None and outcome.error.endswith(" is internal")
        assert proxy.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0x7f.1", "2130706433", "localhost"])
async def test_internal_literals_are_refused_before_the_proxy_is_asked(host: str) -> None:
    async with Proxy() as proxy:
        async with a_sender(proxy=proxy.url, allow_internal=False) as sender:
            assert not (await sent(sender, f"http://{host}:9/")).delivered
        assert proxy.asked == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "https://[fe80::1]/", "http://100.100.100.200/"])
async def test_metadata_is_refused_before_the_proxy_is_asked_also_where_internal_is_allowed(url: str) -> None:
    async with Proxy() as proxy:
        async with a_sender(proxy=proxy.url) as sender:
            outcome = await sent(sender, url)
        assert outcome.error is not None and "metadata" in outcome.error
        assert proxy.asked == []


async def test_the_proxy_answers_for_itself() -> None:
    async with Receiver(status(200)) as receiver, a_sender(proxy="http://127.0.0.1:9") as sender:
        outcome = await sent(sender, receiver.url)
        assert outcome.error and not receiver.requests
