"""Examines the settings: what `portico serve` would refuse or warn of."""

from portico.app.startup_checks import warnings
from portico.config.settings import unknown_variables
from portico.doctor.finding import Finding, ok, problem, warning
from portico.doctor.subject import Subject

AREA = "settings"


async def check(subject: Subject) -> list[Finding]:
    """Examine the settings for what a start would refuse or warn of."""
    unknown = unknown_variables()
    others = warnings(subject.settings)[len(unknown) :] if subject.refusal is None else []
    return judge(subject.refusal, unknown, others)


def judge(refusal: str | None, unknown: list[str], others: list[str]) -> list[Finding]:
    """Findings about the settings. `unknown` are the warnings of unknown_variables(), `others` the other ones."""
    findings = []
    if refusal is not None:
        text = f"portico serve does not start: {refusal.rstrip('.')}."
        findings.append(problem(AREA, text, "Correct the setting, then examine again."))
    findings += [warning(AREA, sentence, "Correct the name of the variable, or remove it.") for sentence in unknown]
    findings += [warning(AREA, sentence, "Remove the setting, or set what it needs.") for sentence in others]
    return findings or [ok(AREA, "All settings can be used, and each has an effect.")]
