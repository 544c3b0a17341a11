"""What a browser hears when it subscribes to a stream that has just gone.

Janus answers with an error, for which the SDK has no branch: the application's promise would never settle, though it
did nothing wrong. So it gets a subscription that carries nothing; that the stream is gone it hears by its usual event.
"""

from typing import Any

_TRACK = (
    "m={kind} 9 UDP/TLS/RTP/SAVPF {payload}\r\n"
    "c=IN IP4 0.0.0.0\r\n"
    "a=sendonly\r\n"
    "a=mid:{mid}\r\n"
    "a=rtcp-mux\r\n"
    "a=ice-ufrag:gone\r\n"
    "a=ice-pwd:gonegonegonegonegonegone\r\n"
    "a=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 " + ":".join(["00"] * 32) + "\r\n"
    "a=setup:actpass\r\n"
    "a=rtpmap:{payload} {codec}\r\n"
    "a=msid:janus janus{mid}\r\n"
    "a=ssrc:{ssrc} cname:janus\r\n"
)
OFFER = {
    "type": "offer",
    "sdp": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=gone\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=msid-semantic: WMS *\r\n"
    + _TRACK.format(kind="audio", payload=111, mid=0, codec="opus/48000/2", ssrc=1)
    + _TRACK.format(kind="video", payload=96, mid=1, codec="VP8/90000", ssrc=2),
}


def attached(room_id: str, feed: int) -> dict[str, Any]:
    """The answer to a subscriber's join, in VideoRoom's shape."""
    streams = [
        {
            "mindex": index,
            "mid": str(index),
            "type": kind,
            "feed_id": feed,
            "active": False,
            "send": True,
            "ready": False,
        }
        for index, kind in enumerate(("audio", "video"))
    ]
    return {"videoroom": "attached", "room": room_id, "id": feed, "streams": streams}


def answer(request: str, room_id: str) -> dict[str, Any]:
    """The answer to any later request of that subscriber, in VideoRoom's shape."""
    done = {"start": "started", "configure": "configured", "pause": "paused", "switch": "switched", "leave": "left"}
    return {"videoroom": "event", "room": room_id, done[request]: "ok"}
