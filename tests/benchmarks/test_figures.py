"""The figures of `script/bench media`: whose limit a stretch showed, and what one more participant costs."""

from dataclasses import replace

import pytest

from benchmarks.packets.figures import Figures, cores_each

GOOD = Figures(
    secs=2.0,
    participants=10,
    streams=20,
    sent=1000,
    received=20_000,
    received_bytes=10_000_000,
    lost=0,
    sounds=10_000,
    late=0,
    delay_p50=0.001,
    delay_p99=0.002,
    janus_cores=0.5,
    janus_cores_given=1,
    gateway_cores=0.1,
    load_cores=0.3,
    others_cores=0.0,
    janus_drops=0,
    load_drops=0,
    unsent=0,
    tick_p99=0.001,
    janus_mb=50.0,
    failed=0,
    ended=0,
)


def test_rates() -> None:
    assert GOOD.packets_per_sec == 10_000
    assert GOOD.mbit_per_sec == pytest.approx(40)
    assert GOOD.packets_per_core_sec == 20_000
    assert replace(GOOD, janus_cores=0.0).packets_per_core_sec == 0.0


def test_losses() -> None:
    assert replace(GOOD, received=990, lost=10).loss == pytest.approx(0.01)
    assert replace(GOOD, received=0, lost=0, sounds=0).loss == 1.0
    assert replace(GOOD, late=100).late_part == pytest.approx(0.01)
    assert replace(GOOD, sounds=0).late_part == 0.0


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "good"),
        ({"tick_p99": 0.05}, "good, but the load's clock was 50 ms late"),
        ({"lost": 1000, "ended": 2}, "the server's limit: the server ended 2 connections"),
        (
            {"lost": 1000, "ended": 2, "others_cores": 0.5},
            "not the server's limit alone: the server ended 2 connections, and other programs used 0.50",
        ),
        ({"failed": 3}, "the server's limit: 3 joins or streams did not come about"),
        ({"lost": 1000, "janus_cores": 0.99}, "the server's limit: Janus used 0.99 of 1 cores"),
        ({"lost": 1000, "janus_drops": 200}, "the server's limit: Janus' sockets had no room for 200 packets"),
        (
            {"late": 1000, "load_drops": 200},
            "the load's limit, not the server's: the load's socket had no room for 200 ",
        ),
        ({"lost": 1000, "unsent": 30}, "the load's limit, not the server's: the load did not send 30 packets in time"),
        ({"lost": 1000, "load_cores": 0.99}, "the load's limit, not the server's: the load used 99% of a core"),
        ({"late": 1000, "tick_p99": 0.2}, "the load's limit, not the server's: the load's clock was 200 ms late"),
        (
            {"lost": 1000, "others_cores": 0.5},
            "not the server's limit: other programs used 0.50 of the 1 cores of Janus",
        ),
        ({"lost": 1000, "others_cores": 0.5, "janus_drops": 200}, "not the server's limit: other programs used 0.50"),
        ({"lost": 1000}, "4.8% lost and 0.0% late, for no reason that is seen here"),
    ],
)
def test_whose_limit_it_was(change: dict[str, float], verdict: str) -> None:
    assert replace(GOOD, **change).verdict.startswith(verdict)  # type: ignore[arg-type]


def test_cost_of_one_more() -> None:
    assert cores_each([(10, 0.3), (20, 0.5), (30, 0.7)]) == pytest.approx(0.02)
    assert cores_each([(10, 0.3)]) == 0.0
