"""Janus' version, its known faults and libraries, and the ports of media."""

import contextlib
import socket
from pathlib import Path

import pytest

from portico.doctor import media, probes
from portico.doctor.media import judge_ports, judge_version
from portico.janus import releases
from portico.janus.capacity import Capacity
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.servers import kept_port

DEBIAN = "Janus version: 1102 (1.1.2)\nJanus commit: not-a-git-repo\nCompiled on:  Thu Jan 19 2023\n"
BUILT = "Unknown option --version\nJanus version: 1401 (1.4.1)\n"


@pytest.mark.parametrize(
    ("printed", "version"),
    [(DEBIAN, (1, 1, 2)), (BUILT, (1, 4, 1)), ("1.2.3", (1, 2, 3)), ("0.12.0", (0, 12, 0)), ("", None), ("1.2", None)],
)
def test_the_version_is_read_from_what_janus_prints(printed: str, version: releases.Version | None) -> None:
    assert releases.parse(printed) == version


@pytest.mark.parametrize(
    ("version", "kinds"),
    [
        ((1, 1, 2), ["vulnerable", "unstable", "slow"]),
        ((1, 2, 1), ["vulnerable", "unstable"]),
        ((1, 3, 3), ["vulnerable"]),
        ((1, 4, 0), ["vulnerable"]),
        ((1, 4, 1), []),
    ],
)
def test_a_release_has_the_faults_that_later_ones_mended(version: releases.Version, kinds: list[str]) -> None:
    assert list(releases.faults_of(version)) == kinds


def test_debians_janus_is_warned_of_with_the_changes_that_mend_it() -> None:
    found = judge_version((1, 1, 2), "janus")
    assert levels(found) == ["warning", "warning", "note"]
    assert "PR-3636, PR-3637" in found[0].text
    assert "script/build-janus" in found[0].remedy


@pytest.mark.parametrize(
    ("version", "level"), [((1, 4, 1), "ok"), ((1, 5, 0), "note"), ((0, 12, 0), "problem"), (None, "warning")]
)
def test_other_releases(version: releases.Version | None, level: str) -> None:
    assert levels(judge_version(version, "janus")) == [level]


async def test_every_janus_of_this_machine_states_its_version(subject: MakeSubject, janus_binary: Path) -> None:
    found = await media.check_janus(subject(janus_bin=str(janus_binary)))
    assert "problem" not in levels(found)
    assert any("Janus 1." in each.text for each in found)


async def test_a_release_in_between_is_known_by_what_it_prints(subject: MakeSubject, tmp_path: Path) -> None:
    found = await media.check_janus(subject(janus_bin=_program(tmp_path, "echo 'Janus version: 1201 (1.2.1)'")))
    assert levels(found) == ["warning", "warning"]
    assert "Janus 1.2.1 may crash or stand still" in found[1].text


async def test_a_janus_without_its_libraries_is_a_problem(subject: MakeSubject, tmp_path: Path) -> None:
    (tmp_path / "lib" / "janus" / "plugins").mkdir(parents=True)
    (tmp_path / "lib" / "janus" / "plugins" / "libjanus_textroom.so").touch()
    found = await media.check_janus(subject(janus_bin=_program(tmp_path, "echo 'Janus version: 1401 (1.4.1)'")))
    assert levels(found) == ["ok", "problem"]
    missing = ("libjanus_videoroom.so", "libjanus_audiobridge.so", "libjanus_websockets.so", "libjanus_wsevh.so")
    assert all(name in found[1].text for name in missing)
    assert "textroom" not in found[1].text


async def test_what_cannot_be_started_is_a_problem(subject: MakeSubject, tmp_path: Path) -> None:
    broken = tmp_path / "janus"
    broken.write_bytes(b"\x7fELF" + bytes(100))
    broken.chmod(0o755)
    assert levels(await media.check_janus(subject(janus_bin=str(broken)))) == ["problem"]
    assert levels(await media.check_janus(subject(janus_bin=str(tmp_path / "nothing")))) == ["problem"]


async def test_a_program_that_does_not_end_is_given_up(subject: MakeSubject, tmp_path: Path) -> None:
    program = _program(tmp_path, "exec sleep 60")
    with pytest.raises(TimeoutError):
        await probes.output_of([program], within_secs=0.2)


async def test_a_remote_janus_that_does_not_answer_is_a_problem(subject: MakeSubject) -> None:
    with kept_port() as kept:
        found = await media.check_janus(subject(janus_url=f"ws://127.0.0.1:{kept.getsockname()[1]}"))
    assert levels(found) == ["problem"]


@pytest.mark.parametrize(("ports", "people", "level"), [((20000, 40000), 140, "ok"), ((20000, 20040), 5, "warning")])
def test_a_range_is_reported_with_the_people_it_carries(ports: tuple[int, int], people: int, level: str) -> None:
    found = judge_ports(ports, None)
    assert levels(found) == [level]
    assert f"{people} people" in found[0].text


@pytest.mark.parametrize(("used", "expected"), [(100, ["ok"]), (850, ["ok", "warning"]), (999, ["ok", "problem"])])
def test_ports_in_use_are_counted(used: int, expected: list[str]) -> None:
    assert levels(judge_ports((20001, 21000), Capacity(used, 1000, 0, 0))) == expected


async def test_a_range_that_other_programs_fill_is_a_problem(subject: MakeSubject) -> None:
    low, high = 20500, 20520
    with contextlib.ExitStack() as held:
        for port in range(low, high + 1):
            taken = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):  # another program has it already
                taken.bind(("127.0.0.1", port))
        found = await media.check_ports(subject(rtp_ports=f"{low}-{high}"))
    assert levels(found) == ["warning", "problem"]
    assert "no participant can join" in found[1].text


def _program(folder: Path, line: str) -> str:
    (folder / "bin").mkdir()
    program = folder / "bin" / "janus"
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)
    return str(program)
