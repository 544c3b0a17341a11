"""When a connection is looked at, and what its counters say. Reports are those of Janus 1.1.2's `handle_info`."""

from typing import Any

import pytest

from portico.signaling.effects import Close, CloseCode, Effect
from portico.signaling.liveness import COMPARISONS, CounterComparison, Quiet
from tests.signaling.conversation import PARTICIPANT, ROOM, TEXTROOM, VIDEOROOM, Conversation

OFFER = {"type": "offer", "sdp": "v=0"}
MIXER, TEXT = 7, 8
REPORTING = Quiet(1, False, (MIXER, TEXT))
PROBED = Quiet(0, True, (TEXT,))


def info(jitter: int = 12, *, rtt: int = 1, packets: int = 50, dtls: int = 9, **janus: int) -> dict[str, Any]:
    """Of a handle with sound; `janus` are figures that Janus' own packets change."""
    main = {"rtt": rtt, "lost-by-remote": 0, "jitter-remote": jitter, "jitter-local": 3, "lost": 0, **janus}
    stats = {"in": {"packets": packets, "bytes": packets * 80}, "out": {"packets": janus.get("sent", 0)}}
    sound = {"type": "audio", "rtcp": {"main": main}, "stats": stats}
    return {"webrtc": {"dtls": {"stats": {"in": {"packets": dtls}, "out": {"packets": 3}}}, "media": {"0": sound}}}


def media(talk: Conversation, handle: int, receiving: bool, **members: Any) -> list[Effect]:
    return talk.from_janus(janus="media", sender=handle, mid="0", type="audio", receiving=receiving, **members)


def with_mixer() -> tuple[Conversation, int]:
    talk = Conversation().join()
    mixer = talk.mixer()
    talk.ask(mixer, {"request": "configure"}, jsep=OFFER)
    talk.from_janus(janus="webrtcup", sender=mixer)
    return talk, mixer


def in_text_room(talk: Conversation) -> int:
    text = talk.attach(TEXTROOM)
    talk.ask(text, {"request": "setup", "room": ROOM.room_id})
    talk.from_janus(janus="webrtcup", sender=text)
    assert talk.dialect.text_joined(ROOM.text, PARTICIPANT) == []
    return text


def test_without_a_probe_a_connection_is_looked_at_when_its_last_medium_has_stopped() -> None:
    talk, mixer = with_mixer()
    assert talk.dialect.quiet is None  # nothing has arrived yet
    media(talk, mixer, True)
    camera = talk.attach(VIDEOROOM)
    talk.from_janus(janus="webrtcup", sender=camera)
    media(talk, camera, True)
    media(talk, camera, True, substream=1)
    for stopped in ({"handle": mixer}, {"handle": camera}):
        media(talk, receiving=False, **stopped)
        assert talk.dialect.quiet is None  # of simulcast, one layer goes on
    media(talk, camera, False, substream=1)
    assert talk.dialect.quiet == Quiet(1, False, (mixer, camera))


def test_a_browser_in_the_text_room_is_looked_at_whether_or_not_it_has_ever_sent() -> None:
    talk, mixer = with_mixer()
    text = in_text_room(talk)
    assert talk.dialect.quiet == Quiet(0, True, (text,))
    media(talk, mixer, True)
    assert talk.dialect.quiet is None
    media(talk, mixer, False)
    assert talk.dialect.quiet == Quiet(1, True, (text,))
    talk.from_janus(janus="hangup", sender=text, reason="Close PC")
    assert talk.dialect.quiet == Quiet(1, False, (mixer,))


def test_a_lost_path_ends_the_connection_unless_media_has_returned() -> None:
    talk, mixer = with_mixer()
    media(talk, mixer, True)
    media(talk, mixer, False)
    media(talk, mixer, True)
    assert talk.dialect.quiet is None and talk.dialect.path_lost() == []
    media(talk, mixer, False)
    assert talk.dialect.quiet == Quiet(2, False, (mixer,))
    assert talk.dialect.path_lost() == [
        Close(CloseCode.MEDIA_LOST, "The media connection was lost: no packet arrives.")
    ]
    assert talk.dialect.path_lost() == []


def test_without_mixer_and_text_room_nothing_is_looked_at() -> None:
    talk = Conversation().join()
    camera = talk.attach(VIDEOROOM)
    talk.from_janus(janus="webrtcup", sender=camera)
    media(talk, camera, True)
    media(talk, camera, False)
    assert talk.dialect.quiet is None


@pytest.mark.parametrize("quiet", [REPORTING, PROBED])
def test_counters_that_stand_still_are_a_lost_path_whatever_janus_sends(quiet: Quiet) -> None:
    comparison = CounterComparison()
    infos = [{handle: info(sent=50 * number, lost=number) for handle in quiet.handles} for number in range(11)]
    assert [comparison.look(quiet, one) for one in infos] == [False] * COMPARISONS + [True]


@pytest.mark.parametrize("sign", [{"jitter": 13}, {"rtt": 2}, {"packets": 51}, {"dtls": 10}])
@pytest.mark.parametrize("handle", [MIXER, TEXT])
def test_one_packet_of_the_browser_on_any_handle_is_a_sign_of_life(sign: dict[str, int], handle: int) -> None:
    comparison, still = CounterComparison(), {MIXER: info(), TEXT: info()}
    for _ in range(COMPARISONS):
        assert not comparison.look(REPORTING, still)
    assert not comparison.look(REPORTING, still | {handle: info(**sign)})
    assert not comparison.needs(REPORTING)
    assert not any(comparison.look(REPORTING, still) for _ in range(2 * COMPARISONS))


def test_a_browser_whose_media_stops_again_is_looked_at_anew() -> None:
    """Media may come and stop between two looks."""
    comparison = CounterComparison()
    assert not comparison.look(REPORTING, {MIXER: info()}) and not comparison.look(REPORTING, {MIXER: info(13)})
    assert not comparison.needs(REPORTING)
    again = Quiet(REPORTING.period + 1, False, REPORTING.handles)
    assert comparison.needs(again)
    looks = [comparison.look(again, {MIXER: info(13)}) for _ in range(COMPARISONS + 1)]
    assert looks == [False] * COMPARISONS + [True]


def test_a_browser_that_is_probed_has_to_answer_again_and_again() -> None:
    comparison = CounterComparison()
    alive = [{TEXT: info(dtls=number)} for number in range(50)]
    assert not any(comparison.look(PROBED, one) for one in alive)
    looks = [comparison.look(PROBED, alive[-1]) for _ in range(COMPARISONS)]
    assert looks == [False] * (COMPARISONS - 1) + [True]


def test_what_a_data_channel_counts_is_no_sign_of_life() -> None:
    comparison = CounterComparison()
    for number in range(COMPARISONS + 1):
        text = info()
        text["webrtc"]["media"]["0"] = {"type": "data", "stats": {"in": {"packets": number}}}
        lost = comparison.look(PROBED, {TEXT: text})
        assert lost is (number == COMPARISONS)


@pytest.mark.parametrize("infos", [{MIXER: info(0, rtt=0)}, {TEXT: info()}, {MIXER: {}}, {}])
def test_nothing_is_known_of_a_browser_that_never_reported_or_whose_mixer_is_closed(infos: dict[int, Any]) -> None:
    comparison = CounterComparison()
    assert not any(comparison.look(REPORTING, infos) for _ in range(2 * COMPARISONS))


def test_another_handle_that_closes_meanwhile_is_no_sign_of_life() -> None:
    comparison = CounterComparison()
    assert not comparison.look(REPORTING, {MIXER: info(), TEXT: info()})
    looks = [comparison.look(REPORTING, {MIXER: info()}) for _ in range(COMPARISONS)]
    assert looks[-1] is True
