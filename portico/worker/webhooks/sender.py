"""One attempt to deliver an event: a signed POST to a receiver that may answer anything, and its outcome.

Whatever the receiver does, an attempt ends by its deadline, keeps a few kilobytes and touches no other attempt.
"""

import asyncio
import codecs
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yarl import URL

from portico.core import retry, webhook
from portico.core.addresses import is_internal, is_metadata
from portico.core.webhook import DEFAULT_TIMEOUT_SECS
from portico.worker.webhooks import target
from portico.worker.webhooks.failures import sentence
from portico.worker.webhooks.resolver import ThreadPerName

log = structlog.get_logger()

BODY_BYTES = 2_000
"""How much of an answer's body is read and kept; the rest is never asked for."""
_BODY_SECS = 1.0
"""How long an attempt waits for that part: the status has already decided, so the deadline would be too long."""
_HEADERS_KEPT = 32
_HEADER_LENGTH = 200
_ERROR_LENGTH = 300
_IDLE_SECS = 4.0
"""The idle time of a connection after which we close it, before servers do (5 s in Node.js and uvicorn)."""
_RECEIVE_BUFFER = 16 * 1024
"""Bytes of the kernel's receive buffer: it slows down a receiver that sends without end, and bounds each read."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one attempt. `error` is a sentence when it failed, None when it was delivered."""

    url: str
    started_at: datetime
    finished_at: datetime
    request_headers: dict[str, str]
    status: int | None  # None without a status line
    error: str | None
    response_headers: dict[str, str]
    response_body: str
    retry_after: timedelta | None

    @property
    def delivered(self) -> bool:
        """Whether the status is 2xx; a body that fails afterwards changes nothing."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def stop(self) -> bool:
        """Whether the status is 410 Gone: the event is not sent to this receiver again."""
        return self.status == 410


class RefusedAddress(OSError):
    """The URL leads to an address that no webhook may go to, or only where the settings allow it."""


def check_address(address: str, *, allow_internal: bool) -> None:
    """Raise RefusedAddress unless a webhook may be sent there."""
    if not allow_internal and is_internal(address):
        raise RefusedAddress(f"the address {address} is internal")
    if is_metadata(address):
        raise RefusedAddress(f"the address {address} is link-local or serves a cloud's metadata")


class Sender:
    """Sends any number of webhooks at a time. `start` it inside the event loop and `close` it there.

    `allow_internal` says whether internal addresses may be reached; a function is asked before each attempt. `proxy` is
    the http:// URL of a proxy that all requests go through. `tls` replaces the system's certificates, `resolver` the
    system's names. `monotonic` gives the seconds that an attempt takes, also while the clock is set.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        allow_internal: bool | Callable[[], Awaitable[bool]],
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._allow_internal = allow_internal
        self._tls = tls
        self._proxy = proxy
        self._resolver = resolver or ThreadPerName()
        # By whether internal addresses are allowed, so that no connection serves both; from start() to close().
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def start(self) -> None:
        self._sessions = {allow_internal: self._session(allow_internal) for allow_internal in (False, True)}

    def _session(self, allow_internal: bool) -> aiohttp.ClientSession:
        check = None if self._proxy else partial(check_address, allow_internal=allow_internal)
        connector = aiohttp.TCPConnector(
            limit=0,  # each attempt has its own deadline; a shared limit would let slow receivers hold up fast ones
            ssl=True if self._tls is None else self._tls,
            resolver=self._resolver,
            keepalive_timeout=_IDLE_SECS,
            socket_factory=partial(_socket, check),
        )
        return aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            headers={"accept": "*/*", "accept-encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # the deadline of each attempt is ours
            auto_decompress=False,  # two kilobytes may unpack to two megabytes
            read_bufsize=4 * BODY_BYTES,
            trust_env=False,  # a proxy has a setting of its own
        )

    async def close(self) -> None:
        """End the attempts under way as failed, and close every connection."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def send(
        self, url: str, data: str, *, attempt: int, key: Ed25519PrivateKey, timeout_secs: float | None
    ) -> Outcome:
        """POST the event once, signed now; returns within the time limit, and raises nothing but CancelledError."""
        started, began = self._clock(), self._monotonic()
        content = webhook.body(data, attempt=attempt, delivered_to=url)
        headers = webhook.headers(key, content, now=started)
        answer = await self._attempt(url, content, headers, timeout_secs or DEFAULT_TIMEOUT_SECS)
        finished = started + timedelta(seconds=self._monotonic() - began)
        retry_after = None if answer.error is None else answer.headers.get("retry-after")
        return Outcome(
            url=url,
            started_at=started,
            finished_at=finished,
            request_headers=headers,
            status=answer.status,
            error=answer.error,
            response_headers=answer.headers,
            response_body=answer.body,
            retry_after=retry.parse_retry_after(retry_after, now=self._clock()),
        )

    async def _attempt(self, url: str, content: bytes, headers: dict[str, str], secs: float) -> "_Answer":
        if not self._sessions:
            return _Answer(error="the server is shutting down")
        try:
            async with asyncio.timeout(secs) as deadline:
                response = await self._post(target.parse(url), content, headers)
                ends_at = deadline.when()
                deadline.reschedule(None)  # from here on the attempt has a status, which lateness must not take away
                assert ends_at is not None
                body = await _start_of_body(response, ends_at)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if deadline.expired():
                return _Answer(error=f"timed out after {secs:g} s")
            return _Answer(error=_clean(sentence(error), _ERROR_LENGTH))
        except Exception as error:  # one attempt's failure must not end the loop that sends
            log.error("webhook attempt failed unexpectedly", url=url, exc_info=True)
            return _Answer(error=_clean(f"could not be sent: {error!r}", _ERROR_LENGTH))
        return _Answer(response.status, _failure(response), _kept_headers(response), body)

    async def _post(self, to: target.Target, content: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        allow_internal = self._allow_internal
        if not isinstance(allow_internal, bool):
            allow_internal = await allow_internal()
        session = self._sessions.get(allow_internal)
        if session is None:
            raise OSError("the server is shutting down")
        post = partial(session.post, data=content, allow_redirects=False)
        headers = headers | to.headers
        if self._proxy is None:
            return await post(to.url, headers=headers)
        url, pinned = await self._checked(to, allow_internal=allow_internal)
        return await post(url, headers={**headers, **pinned.headers}, proxy=self._proxy, **pinned.options)

    async def _checked(self, to: target.Target, *, allow_internal: bool) -> "tuple[URL, _Pinned]":
        """Look at the addresses that the proxy would connect to, as far as they are known here.

        A proxy looks names up itself. Where internal addresses are refused it is given the address that was looked at,
        if the tunnel is encrypted: inside, the host keeps its name. Over plain HTTP a proxy takes the host from the
        URL, so the name has to stay, and the proxy has to refuse what a name server answers only to the proxy.
        """
        host = to.url.host or ""
        try:
            found = await self._resolver.resolve(host, to.url.port or 0, socket.AF_UNSPEC)
        except OSError:
            if not allow_internal:
                raise
            return to.url, _Pinned()  # names that only the proxy knows
        for each in found:
            check_address(each["host"], allow_internal=allow_internal)
        if allow_internal or to.url.scheme != "https":
            return to.url, _Pinned()
        named = {"host": to.url.host_port_subcomponent or host}
        return to.url.with_host(found[0]["host"]), _Pinned(named, {"server_hostname": to.url.raw_host})


@dataclass(frozen=True)
class _Pinned:
    """What a request needs beside the URL when an address stands for the host's name."""

    headers: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def _socket(check: Callable[[str], None] | None, address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for exactly this address, which is the one connected to, whatever the URL or a name server names."""
    family, kind, protocol, _, at = address
    if check is not None:
        check(str(at[0]))
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


@dataclass(frozen=True)
class _Answer:
    status: int | None = None
    error: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class _Response(aiohttp.ClientResponse):
    """An answer whose connection is dropped at once when no status comes of it.

    Closing it as usual would, over TLS, go on reading whatever still comes for up to 30 s.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        transport = connection.transport
        try:
            return await super().start(connection)
        except BaseException:
            if transport is not None:
                transport.abort()
            raise


async def _start_of_body(response: aiohttp.ClientResponse, ends_at: float) -> str:
    """The first BODY_BYTES as text. A body read to its end leaves the connection open for the next attempt."""
    connection = response.connection
    read = bytearray()
    whole = False
    try:
        async with asyncio.timeout_at(min(ends_at, asyncio.get_running_loop().time() + _BODY_SECS)):
            while len(read) < BODY_BYTES and not response.content.at_eof():
                read += await response.content.read(BODY_BYTES - len(read))
        whole = response.content.at_eof()
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass  # what arrived is worth keeping, and the status stands
    finally:
        if not whole and connection is not None and connection.transport is not None:
            connection.transport.abort()
        response.release()
    # Cut in the middle of a character, the text ends before it.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(read), final=whole)
    return _clean(text, BODY_BYTES)


def _failure(response: aiohttp.ClientResponse) -> str | None:
    if 200 <= response.status <= 299:
        return None
    if 300 <= response.status <= 399 and "location" in response.headers:
        return f"answered {response.status}: redirects are not followed"
    return f"answered {response.status}"


def _kept_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The first headers in lower case, several of one name joined as RFC 9110 section 5.3 allows."""
    kept: dict[str, str] = {}
    for name, value in list(response.headers.items())[:_HEADERS_KEPT]:
        name_kept = _clean(name.lower(), _HEADER_LENGTH)
        before = f"{kept[name_kept]}, " if name_kept in kept else ""
        kept[name_kept] = _clean(before + value, _HEADER_LENGTH)
    return kept


def _clean(text: str, longest: int) -> str:
    """Text that every database takes: no lone surrogates and no NUL."""
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text.replace("\0", "")[:longest]
