"""What every finding must be."""

from collections.abc import Sequence

from portico.doctor.finding import Finding


def levels(findings: Sequence[Finding]) -> list[str]:
    """Their levels, after a look at each: one sentence, and a remedy for what is not as it should be."""
    for finding in findings:
        assert finding.text.endswith((".", "?")) and "\n" not in finding.text, finding
        assert not finding.text.endswith(".."), finding
        assert finding.remedy.endswith(".") or finding.level in ("ok", "note"), finding
    return [finding.level for finding in findings]
