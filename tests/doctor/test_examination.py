"""All checks together: bounded, in order, whatever one of them does; and what the settings themselves are."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from portico.config.settings import load
from portico.doctor import configuration, server
from portico.doctor.examination import CHECKS, Check, examine, examine_settings
from portico.doctor.finding import Finding, as_object, note, ok, problem, warning
from portico.doctor.probes import in_thread
from portico.doctor.server import ReadyzAnswer
from portico.doctor.subject import Subject, running_pid, subject_of
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.receiver import Receiver, status

ADDRESS = "http://127.0.0.1:8080"


async def good(subject: Subject) -> list[Finding]:
    return [ok("good", "All is well.")]


async def hang(subject: Subject) -> list[Finding]:
    await in_thread(lambda: time.sleep(5))
    return []


async def fail(subject: Subject) -> list[Finding]:
    raise ValueError("s3cret")


async def test_a_check_that_hangs_or_fails_hides_no_other(subject: MakeSubject) -> None:
    checks = (Check("hangs", hang), Check("fails", fail), Check("good", good))
    seen: list[frozenset[str]] = []
    began = time.monotonic()
    found = await examine(subject(), checks=checks, on_progress=seen.append, within_secs=0.5)
    assert time.monotonic() - began < 4, "not as long as what hangs"
    assert [(each.area, each.level) for each in found] == [("hangs", "warning"), ("fails", "problem"), ("good", "ok")]
    assert "ValueError" in found[1].text and "s3cret" not in found[1].text
    assert [seen[0], seen[-1]] == [frozenset(("hangs", "fails", "good")), frozenset()]


async def test_all_of_a_new_installation_is_examined_in_time(subject: MakeSubject, tmp_path: Path) -> None:
    settings = subject(data_dir=str(tmp_path / "new"), rtp_ports="20800-20900").settings
    async with asyncio.timeout(ANSWERS_WITHIN_SECS):
        found = await examine_settings(settings, lambda _: None)
    levels(found)
    places = [[check.area for check in CHECKS].index(each.area) for each in found]
    assert places == sorted(places), "in the order of the checks"
    assert {check.area for check in CHECKS} - {each.area for each in found} <= {"certificate", "front", "relay"}
    assert not (tmp_path / "new").exists(), "nothing is made"


def test_only_a_problem_is_not_ok() -> None:
    fine = [ok("a", "Good."), note("b", "Known."), warning("c", "Slow.", "Wait.")]
    assert as_object(fine)["ok"] is True
    assert as_object([*fine, problem("d", "Bad.", "Mend it.")])["ok"] is False
    assert json.loads(json.dumps(as_object(fine)))["findings"][2] == {
        "area": "c",
        "level": "warning",
        "text": "Slow.",
        "remedy": "Wait.",
    }


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"media_interface": "eth99"}, "PORTICO_MEDIA_INTERFACE"),
        ({"media_address": "nothing.invalid"}, "PORTICO_MEDIA_ADDRESS"),
        ({"janus_bin": "/nonexistent"}, "PORTICO_JANUS_BIN"),
        ({"rtp_ports": "20000-20004"}, "PORTICO_RTP_PORTS"),
    ],
)
async def test_what_a_start_refuses_is_a_problem_and_all_else_is_examined(
    subject: MakeSubject, settings: dict[str, object], word: str
) -> None:
    found = await configuration.check(subject_of(subject(**settings).settings))
    assert levels(found) == ["problem"]
    assert word in found[0].text


async def test_what_has_no_effect_is_warned_of(subject: MakeSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_RECORDING_DAY", "3")
    chosen = subject(s3_endpoint="http://127.0.0.1:9000", public_url="http://video.example.com")
    found = await configuration.check(chosen)
    assert levels(found) == ["warning"] * 3
    assert "did you mean PORTICO_RECORDING_DAYS?" in found[0].text
    assert "PORTICO_S3_ENDPOINT has no effect" in found[1].text
    assert "camera" in found[2].text


async def test_good_settings_are_good(subject: MakeSubject) -> None:
    assert levels(await configuration.check(subject())) == ["ok"]


@pytest.mark.parametrize(
    ("answer", "pid", "expected", "word"),
    [
        (ReadyzAnswer(200, {"status": "ready"}), 7, ["ok"], "process 7"),
        (ReadyzAnswer(None, reason="connection refused"), None, ["note"], "nothing answers"),
        (ReadyzAnswer(None, reason="connection refused"), 7, ["problem"], "process 7"),
        (ReadyzAnswer(404, {"errors": []}), None, ["problem"], "Another program"),
        (ReadyzAnswer(200, "hello"), None, ["problem"], "Another program"),
        (ReadyzAnswer(503, {"reasons": {"a": "No A.", "b": "No B."}}), 7, ["problem", "problem"], "No B."),
    ],
)
def test_each_answer_on_the_port_has_its_finding(
    answer: ReadyzAnswer, pid: int | None, expected: list[str], word: str
) -> None:
    found = server.judge(answer, ADDRESS, pid)
    assert levels(found) == expected
    assert any(word in each.text for each in found)


async def test_another_program_on_the_port_is_a_problem(subject: MakeSubject) -> None:
    async with Receiver(otherwise=status(200, b"hello")) as other:
        assert levels(await server.check(subject(port=str(other.port)))) == ["problem"]


async def test_a_process_of_another_program_with_the_old_number_is_no_server(
    subject: MakeSubject, tmp_path: Path
) -> None:
    (tmp_path / "data" / "portico.db.lock").write_text("1")
    assert running_pid(load(data_dir=str(tmp_path / "data"))) is None
