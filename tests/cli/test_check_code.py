"""`portico check-code`: what support reads."""

from tests.cli.test_main import _is_one_sentence, _run


def test_a_code_is_printed_as_its_steps() -> None:
    done = _run("check-code", "anj5-q0k6-aa9a-f822")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    facts = {name: meaning.strip() for name, meaning in lines.items()}
    assert facts["time"] == "2027-03-01 12:00 UTC"
    assert facts["microphone"] == "not allowed"
    assert (facts["direct over UDP"], facts["relay over TCP"]) == ("blocked", "works")


def test_a_wrong_code_is_one_sentence() -> None:
    _is_one_sentence(_run("check-code", "ANJ5-Q0K6-AA9A-F823"), "wrong")
