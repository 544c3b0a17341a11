"""The request line of a webhook is what the URL says, byte for byte, on every way that a URL comes to us."""

import pytest

from portico.worker.webhooks.sender import Sender
from tests.receiver import Receiver, status
from tests.worker.webhooks.conftest import sent
from tests.worker.webhooks.outbox import Outbox

TARGETS = [
    "/h%28x%29/a%2Fb?e=me%40x.example&sig=a%2Fb%2Bc%3D",
    "/h(x)/a/b?e=me@x.example&sig=a/b+c=",
    "/%7euser/%c3%a4?%7E=~&a=%C3%A4",
    "/a/../b//c/./d",
    "//double//",
    "/a?",
    "/?",
    "/a;b=c,d@e:f!$&'()*?[x]=1&y={z}|^`\"<>\\",
    "/not%an%escape%zz?%",
    "/a?b?c=?&&=",
    "/a%20b?c+d%2B",
    "/%E2%82%AC%00%0d%0a",
    "/sig?X-Amz-Credential=AKID%2F20260101%2Feu%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_path_and_query_arrive_as_they_were_given(sender: Sender, target: str) -> None:
    async with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}{target}"
        outcome = await sent(sender, url)
        assert outcome.delivered, outcome.error
        assert receiver.requests[0].target == target
        assert receiver.requests[0].json["meta"]["delivered_to"] == url


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("/a#part", "/a"),
        ("/a?b#part?c", "/a?b"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/\u00e4?\u20ac=%E2%82%AC", "/%C3%A4?%E2%82%AC=%E2%82%AC"),
        ("/a\tb", "/a%09b"),
    ],
)
async def test_only_what_no_request_line_can_hold_is_encoded(sender: Sender, given: str, arrives: str) -> None:
    async with Receiver() as receiver:
        outcome = await sent(sender, f"http://127.0.0.1:{receiver.port}{given}")
        assert outcome.delivered, outcome.error
        assert receiver.requests[0].target == arrives


async def test_a_user_in_the_url_is_a_header_and_the_path_stays(sender: Sender) -> None:
    async with Receiver() as receiver:
        url = f"http://me%40x:p%3A%2Fw@127.0.0.1:{receiver.port}/h%28x%29"
        assert (await sent(sender, url)).delivered
        (request,) = receiver.requests
    assert request.target == "/h%28x%29"
    assert request.headers["authorization"] == "Basic bWVAeDpwOi93"


async def test_primary_and_failover_of_a_room_arrive_as_they_were_given(outbox: Outbox) -> None:
    async with Receiver(status(500)) as receiver:
        room_id = await outbox.room(
            f"http://127.0.0.1:{receiver.port}{TARGETS[0]}", f"http://127.0.0.1:{receiver.port}{TARGETS[3]}"
        )
        await outbox.worker()
        await outbox.event(room_id)
        requests = await receiver.wait_for(2, 30)
    assert [each.target for each in requests] == [TARGETS[0], TARGETS[3]]
