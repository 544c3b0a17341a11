"""What a client may take of the listening socket; the defaults were measured with `script/bench hostile`."""

from dataclasses import dataclass

from portico.core.client_address import Network

HEAD_BYTES_MAX = 64 * 1024
"""Bytes of one HTTP request that are not its body: request line, headers, framing of chunks, trailers."""
HEADERS_MAX = 200
MESSAGE_BYTES_MAX = 256 * 1024
"""Bytes of one signaling message; the largest that an SDK sends, an offer with simulcast, has about 10,000."""
FIRST_MESSAGE_BYTES_MAX = 16 * 1024
"""The same for a socket without an accepted token; a token has at most 4,096."""
FRAGMENTS_MAX = 256
"""Frames of one message; browsers send a message in one frame or a few."""
FRAMES_PER_TURN = 32
"""Frames that one socket may have handled before the event loop serves the others: about 0.2 ms."""
BACKLOG = 512
"""Connections that wait to be accepted; all of them may be in one turn of the event loop."""
RECEIVE_BUFFER_BYTES = 64 * 1024
"""What the system keeps of what a client sends and we have not read: also the most that we hold of it unparsed."""
BODY_BYTES_PER_SEC, BODY_BYTES_BURST = 2_000_000, 4_000_000
"""Bytes of HTTP requests on one connection; the largest body that the API takes has 1,000,000."""
REQUESTS_BURST = 3
"""Seconds' worth of requests that one address may make at once: a page with what belongs to it for 30 people."""
KEY_TRUSTED_SECS = 60
"""How long after a valid API key the keys of its address count for valid before they are looked up."""
REQUEST_WAITS_SECS_MAX = 2.0
"""The longest that a request waits because its address has made too many."""
UNSENT_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of answers that all clients together have not taken; beyond that the largest is dropped."""
PROGRESS_BYTES_MIN = 16 * 1024
"""What a client has to take of a waiting answer within `Limits.answer_secs`."""
PING_SECS = 10
"""A WebSocket ping goes out this often and must be answered as fast: a half-open connection ends within 20 s."""
CLOSE_SECS = 5
"""How long a peer may take to answer a close frame, or the end of an answer; then the connection is aborted."""
TOKEN_SECS = 30
"""How long a WebSocket may stay without an accepted token; the SDK shows it in its first message."""
KEPT_SECS_MIN = 2
"""A connection is not dropped for a newer one before this age: enough to say what it came for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that are settings; see portico.config.settings for what each means."""

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
    """What one WebSocket may send: per second and at once."""

    messages: tuple[float, float]
    frames: tuple[float, float]
    bytes: tuple[float, float]


STRANGER = Rates(messages=(4, 16), frames=(20, 100), bytes=(8_000, 64_000))
"""Without an accepted token. The SDK sends one message, and a pong every ten seconds."""


def admitted(messages_per_sec: int) -> Rates:
    """With an accepted token. A join among 50 publishers takes about 800 messages of 1 kB, within seconds."""
    return Rates(
        messages=(messages_per_sec, 20 * messages_per_sec),
        frames=(4 * messages_per_sec, 80 * messages_per_sec),
        bytes=(4096 * messages_per_sec, 80 * 1024 * messages_per_sec),
    )
