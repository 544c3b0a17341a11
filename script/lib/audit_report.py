"""Reads the JSON reports of pip-audit and npm audit: prints a line for each vulnerability, exits as documented."""

import json
import sys
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, UNANSWERED = 0, 1, 3


def python_findings(report: Any) -> list[str] | None:
    """A line for each vulnerability in pip-audit's report; None when the registry answered for no package."""
    packages = report.get("dependencies", []) if isinstance(report, dict) else []
    audited = [package for package in packages if "vulns" in package]
    if not audited:
        return None
    return [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability.get('fix_versions') or ['no release'])}"
        for package in audited
        for vulnerability in package["vulns"]
    ]


def npm_findings(report: Any) -> list[str] | None:
    """A line for each vulnerable package in npm's report; None when the registry did not answer."""
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        return None
    return [
        f"{name}: {found['severity']}, {found['range']}" for name, found in sorted(report["vulnerabilities"].items())
    ]


def conclude(findings: dict[str, list[str] | None]) -> tuple[list[str], int]:
    """The lines to print, and the exit status: a vulnerability counts more than a registry that did not answer."""
    lines = []
    for registry, found in findings.items():
        if found is None:
            lines.append(f"{registry}: the registry answered no audit, so nothing is known.")
        elif not found:
            lines.append(f"{registry}: no known vulnerability.")
        else:
            lines += [f"{registry}: {line}" for line in found]
    if any(findings.values()):
        return lines, VULNERABLE
    return lines, UNANSWERED if None in findings.values() else CLEAN


def _load(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        return None  # nothing was printed: the program could not even start its questions


def main(python_report: str, npm_report: str) -> int:
    """Print the conclusion of both reports; the exit status of script/audit."""
    lines, status = conclude({"PyPI": python_findings(_load(python_report)), "npm": npm_findings(_load(npm_report))})
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
