"""Bodies of every kind, as functions and through a real socket."""

import http.client
import json
import re
import socket
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.api import bodies
from portico.api.app import document
from tests.api.serving import Served
from tests.api.world import World

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "should be JSON"),
        (b" ", "should be JSON"),
        (b'{"a":NaN}', "should be JSON"),
        (b'{"a":Infinity}', "should be JSON"),
        (b'{"a":1}x', "should be JSON"),
        (b"\xff\xfe{\x00}\x00", "should be UTF-8"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "should be JSON"),
        (b'{"a":"\xff"}', "should be UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_what_is_not_json(body: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        bodies.parse(body)


def test_no_bytes_are_an_empty_object_and_long_numbers_are_numbers() -> None:
    assert bodies.parse(b"") == {}
    assert bodies.parse(b'{"a":' + b"9" * 9000 + b"}") == {"a": int("9" * 40)}


def test_a_byte_order_mark_means_nothing() -> None:
    assert bodies.parse(b"\xef\xbb\xbf{}") == {}
    assert bodies.parse('\ufeff{"unique_name":"Büro"}'.encode()) == {"unique_name": "Büro"}


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_sentence(body: bytes) -> None:
    try:
        value = bodies.parse(body)
    except ValueError as error:
        value = str(error)
    else:
        assert value == json.loads(body or b"{}")
        return
    assert value.startswith("The request body")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "a/b+json", None])
async def test_json_by_any_name(sqlite_world: World, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await sqlite_world.k1.post("/v2/rooms", content=b'{"max_participants":3}', headers=headers)
    assert answer.json()["data"]["max_participants"] == 3


async def test_other_content_types_are_refused_unless_the_body_is_empty(sqlite_world: World) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await sqlite_world.k1.post("/v2/rooms", content=b"a=b", headers=form)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (415, "10014")
    assert (await sqlite_world.k1.post("/v2/rooms", headers=form)).status_code == 201


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null"])
async def test_every_operation_with_a_body_wants_an_object(sqlite_world: World, body: bytes) -> None:
    items = document()["paths"].items()
    asked = [(method, path) for path, item in items for method in item if "requestBody" in item[method]]
    assert len(asked) == 14
    for method, path in asked:
        answer = await sqlite_world.k1.request(method, re.sub(r"\{\w+\}", str(uuid4()), path), content=body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "10027"), path


async def test_get_and_delete_never_look_at_bodies(sqlite_world: World) -> None:
    room = await sqlite_world.room()
    path = f"/v2/rooms/{room['id']}"
    assert (await sqlite_world.k1.request("GET", path, content=b"{", headers=JSON)).status_code == 200
    assert (await sqlite_world.k1.request("DELETE", path, content=b"{", headers=JSON)).status_code == 204


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800", r"\udfff\ud800"])
async def test_what_no_database_can_store_is_refused(world: World, text: str) -> None:
    for member in ("unique_name", "webhook_event_url", "webhook_event_failover_url"):
        body = f'{{"{member}":"https://x/{text}"}}'
        answer = await world.k1.post("/v2/rooms", content=body, headers=JSON)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["source"] == {"pointer": f"/{member}"}


async def test_a_body_over_the_limit_that_says_so(sqlite_world: World) -> None:
    body = b'{"a":"' + b"x" * bodies.BODY_BYTES_MAX + b'"}'
    answer = await sqlite_world.k1.post("/v2/rooms", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (413, "10015")
    fits = b'{"a":"' + b"x" * (bodies.BODY_BYTES_MAX - 8) + b'"}'
    assert (await sqlite_world.k1.post("/v2/rooms", content=fits, headers=JSON)).status_code == 201


def exchange(served: Served, request: bytes) -> bytes:
    """Send raw bytes, read one answer."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0].split(b":")[1]):
                break
        return received


def request_of(served: Served, line: str, *headers: str) -> bytes:
    lines = [line, "Host: x", f"Authorization: Bearer {served.world.key}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def test_a_chunked_body_is_cut_off_at_the_limit(served: Served) -> None:
    head = request_of(served, "POST /v2/rooms HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = exchange(served, head + chunk * (bodies.BODY_BYTES_MAX // 0x10000 + 1))  # and no end: it need not come
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"10015"' in answer


def talk(served: Served, *requests: bytes) -> list[http.client.HTTPResponse]:
    """Send raw requests one after the other over one connection; the answer to each, read to its end."""
    answers = []
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        for request in requests:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert json.loads(answer.read())
            answers.append(answer)
    return answers


def test_after_a_body_over_the_limit_the_connection_still_works(served: Served) -> None:
    size = 2 * bodies.BODY_BYTES_MAX
    next_one = request_of(served, "GET /v2/rooms HTTP/1.1")
    announced = request_of(served, "POST /v2/rooms HTTP/1.1", f"Content-Length: {size}") + b" " * size
    in_chunks = request_of(served, "POST /v2/rooms HTTP/1.1", "Transfer-Encoding: chunked")
    in_chunks += (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * (size // 0x10000) + b"0\r\n\r\n"
    answers = talk(served, announced, next_one, in_chunks, next_one)
    assert [answer.status for answer in answers] == [413, 200, 413, 200]
    assert all(answer.headers["x-request-id"] for answer in answers)


def test_a_client_that_expects_100_continue_sends_no_body_that_is_too_large(served: Served) -> None:
    head = request_of(served, "POST /v2/rooms HTTP/1.1", "Content-Length: 5000000", "Expect: 100-continue")
    assert exchange(served, head).startswith(b"HTTP/1.1 413 ")
    fits = request_of(served, "POST /v2/rooms HTTP/1.1", "Content-Length: 2", "Expect: 100-continue")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(fits)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filter[unique_name]=\xff\xe4", 400),  # uvicorn's parser refuses bytes that are not encoded
        ("filter[unique_name]=%ff%e4%", 200),
        ("filter[unique_name]=%zz", 200),
        ("filter[unique_name]=%00", 422),
        ("filter[unique_name]=%ed%a0%80", 200),
        ("filter[%ff]=1", 422),
        ("filter%5bunique_name%5d=a+b%20c", 200),
        ("%ff=%00&x=&&=", 200),
        ("page[size]=%00", 422),
    ],
)
def test_queries_of_any_bytes(served: Served, query: str, status: int) -> None:
    answer = exchange(served, request_of(served, f"GET /v2/rooms?{query} HTTP/1.1"))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "path", ["/v2/rooms/%ff", "/v2/rooms/%00", "/v2/rooms/%zz", "/v2/rooms/%2e%2e", "/v2/%ed%a0%80"]
)
def test_paths_of_any_bytes(served: Served, path: str) -> None:
    answer = exchange(served, request_of(served, f"GET {path} HTTP/1.1"))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"10005"' in answer
