"""The limits of clients on the listening socket. `script/bench hostile` measured the defaults."""

from dataclasses import dataclass

from portico.core.client_address import Network

HEAD_BYTES_MAX = 64 * 1024
"""Bytes of one HTTP request outside its body: request line, headers, framing of chunks, trailers."""
HEADERS_MAX = 200
MESSAGE_BYTES_MAX = 256 * 1024
"""Bytes of one signaling message. The largest of the SDK, an offer with simulcast, has about 10,000."""
FIRST_MESSAGE_BYTES_MAX = 16 * 1024
"""The same on a connection without an accepted token. A token has at most 4,096 bytes."""
FRAGMENTS_MAX = 256
"""Frames of one message. Browsers send a message in one frame or a few."""
FRAMES_PER_TURN = 32
"""Frames of one connection that are handled before the event loop serves others; they take about 0.2 ms."""
BACKLOG = 512
"""Connections that the system keeps until they are accepted. One turn of the event loop may accept them all."""
RECEIVE_BUFFER_BYTES = 64 * 1024
"""Bytes of a client that the system keeps until we read them; also the most that we hold unparsed."""
BODY_BYTES_PER_SEC, BODY_BYTES_BURST = 2_000_000, 4_000_000
"""Bytes of HTTP requests on one connection: per second, and at once. The largest body of the API has 1,000,000."""
REQUESTS_BURST = 3
"""Seconds' worth of requests that one network may make at once: a page and its files for 30 browsers."""
KEY_TRUSTED_SECS = 60
"""How long after a valid API key other requests of its network with a key are not counted."""
REQUEST_WAITS_SECS_MAX = 2.0
"""The longest wait of a request whose network has made too many requests."""
UNSENT_BYTES_MAX = 32 * 1024 * 1024
"""Unsent bytes of answers to all clients together. With more, the connection with the most is aborted."""
PROGRESS_BYTES_MIN = 16 * 1024
"""Bytes of a waiting answer that a client has to read within `Limits.answer_secs`."""
PING_SECS = 10
"""Seconds between WebSocket pings, and the time for an answer: a half-open connection ends within 20 s."""
CLOSE_SECS = 5
"""How long a client may take to answer a close frame, or to close after a last answer, before we abort."""
TOKEN_SECS = 30
"""How long a WebSocket may be open without an accepted token. The SDK shows it in its first message."""
KEPT_SECS_MIN = 2
"""The age before which no newer connection displaces a connection: enough to send a request."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that are settings. portico.config.settings says what each means."""

    per_address: int = 200
    without_token: int = 1000
    in_all: int = 20_000
    head_secs: int = 10
    body_secs: int = 30
    idle_secs: int = 75
    answer_secs: int = 20
    messages_per_sec: int = 50
    requests_per_sec: int = 100
    trusted_proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Rates:
    """What one WebSocket may send: (per second, at once)."""

    messages: tuple[float, float]
    frames: tuple[float, float]
    bytes: tuple[float, float]


ANONYMOUS = Rates(messages=(4, 16), frames=(20, 100), bytes=(8_000, 64_000))
"""The rates without an accepted token. The SDK sends one message, and a pong every ten seconds."""


def admitted(messages_per_sec: int) -> Rates:
    """The rates with an accepted token. A join among 50 publishers takes about 800 messages of 1 kB in seconds."""
    return Rates(
        messages=(messages_per_sec, 20 * messages_per_sec),
        frames=(4 * messages_per_sec, 80 * messages_per_sec),
        bytes=(4096 * messages_per_sec, 80 * 1024 * messages_per_sec),
    )
