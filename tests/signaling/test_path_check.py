"""When Janus' counters are compared, and what the comparison says. Reports are those of Janus 1.1.2's `handle_info`."""

from typing import Any

import pytest

from portico.signaling.effects import CheckPath, Close, CloseCode, Effect
from portico.signaling.liveness import COMPARISONS, Comparison
from tests.signaling.conversation import VIDEOROOM, Conversation

OFFER = {"type": "offer", "sdp": "v=0"}
MIXER, TEXT = 7, 8


def info(jitter: int = 12, *, rtt: int = 1, packets: int = 50, dtls: int = 9, **janus: int) -> dict[str, Any]:
    """Of a handle with sound; `janus` are figures that Janus' own packets change."""
    main = {"rtt": rtt, "lost-by-remote": 0, "jitter-remote": jitter, "jitter-local": 3, "lost": 0, **janus}
    stats = {"in": {"packets": packets, "bytes": packets * 80}, "out": {"packets": janus.get("sent", 0)}}
    sound = {"type": "audio", "rtcp": {"main": main}, "stats": stats}
    return {"webrtc": {"dtls": {"stats": {"in": {"packets": dtls}, "out": {"packets": 3}}}, "media": {"0": sound}}}


def hear(talk: Conversation, handle: int, receiving: bool, **members: Any) -> list[Effect]:
    return talk.hear(janus="media", sender=handle, mid="0", type="audio", receiving=receiving, **members)


def with_mixer() -> tuple[Conversation, int]:
    talk = Conversation().join()
    mixer = talk.mixer()
    talk.ask(mixer, {"request": "configure"}, jsep=OFFER)
    talk.hear(janus="webrtcup", sender=mixer)
    hear(talk, mixer, True)
    return talk, mixer


def test_the_path_is_checked_when_the_last_medium_has_stopped() -> None:
    talk, mixer = with_mixer()
    camera = talk.attach(VIDEOROOM)
    talk.hear(janus="webrtcup", sender=camera)
    hear(talk, camera, True)
    hear(talk, camera, True, substream=1)
    assert CheckPath() not in hear(talk, mixer, False)
    assert CheckPath() not in hear(talk, camera, False)  # of simulcast, one layer goes on
    assert CheckPath() in hear(talk, camera, False, substream=1)
    assert talk.dialect.handles_to_compare == [mixer, camera]


def test_a_lost_path_ends_the_connection_unless_media_came_back() -> None:
    talk, mixer = with_mixer()
    hear(talk, mixer, False)
    hear(talk, mixer, True)
    assert talk.dialect.handles_to_compare == [] and talk.dialect.path_lost() == []
    hear(talk, mixer, False)
    assert talk.dialect.path_lost() == [Close(CloseCode.MEDIA_LOST, "The media connection was lost.")]
    assert talk.dialect.path_lost() == []


def test_without_a_mixer_nothing_is_compared() -> None:
    talk = Conversation().join()
    camera = talk.attach(VIDEOROOM)
    talk.hear(janus="webrtcup", sender=camera)
    hear(talk, camera, True)
    assert CheckPath() not in hear(talk, camera, False)


def test_counters_that_stand_still_are_a_lost_path_whatever_janus_sends() -> None:
    comparison = Comparison()
    looks = [comparison.look(MIXER, {MIXER: info(sent=50 * number, lost=number)}) for number in range(COMPARISONS + 1)]
    assert looks == [None] * COMPARISONS + [True]


@pytest.mark.parametrize("sign", [{"jitter": 13}, {"rtt": 2}, {"packets": 51}, {"dtls": 10}])
@pytest.mark.parametrize("handle", [MIXER, TEXT])
def test_one_packet_of_the_browser_on_any_handle_is_a_sign_of_life(sign: dict[str, int], handle: int) -> None:
    comparison, still = Comparison(), {MIXER: info(), TEXT: info()}
    for _ in range(COMPARISONS):
        assert comparison.look(MIXER, still) is None
    assert comparison.look(MIXER, still | {handle: info(**sign)}) is False


def test_what_a_data_channel_counts_is_no_sign_of_life() -> None:
    comparison = Comparison()
    for number in range(COMPARISONS):
        text = info()
        text["webrtc"]["media"]["0"] = {"type": "data", "stats": {"in": {"packets": number}}}
        assert comparison.look(MIXER, {MIXER: info(), TEXT: text}) is None
    assert comparison.look(MIXER, {MIXER: info(), TEXT: text}) is True


def test_nothing_is_known_of_a_browser_that_never_reported_or_whose_mixer_is_closed() -> None:
    assert Comparison().look(MIXER, {MIXER: info(0, rtt=0)}) is False
    assert Comparison().look(MIXER, {TEXT: info()}) is False
    assert Comparison().look(MIXER, {MIXER: {}}) is False


def test_another_handle_that_closes_meanwhile_is_no_sign_of_life() -> None:
    comparison = Comparison()
    assert comparison.look(MIXER, {MIXER: info(), TEXT: info()}) is None
    looks = [comparison.look(MIXER, {MIXER: info()}) for _ in range(COMPARISONS)]
    assert looks[-1] is True
