"""What script/audit concludes from the reports of pip-audit and npm audit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "script" / "lib" / "audit_report.py"
CLEAN_PYTHON = {"dependencies": [{"name": "aiohttp", "version": "3.14.5", "vulns": []}]}
BAD_PYTHON = {
    "dependencies": [
        {"name": "aiohttp", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}]},
        {"name": "yarl", "skip_reason": "Dependency not found on PyPI"},
    ]
}
SKIPPED_PYTHON = {"dependencies": [{"name": "aiohttp", "skip_reason": "Dependency not found on PyPI"}]}
CLEAN_NPM: dict[str, object] = {"vulnerabilities": {}}
BAD_NPM = {"vulnerabilities": {"vite": {"severity": "high", "range": "<6.0.9"}}}
REFUSED_NPM = {"message": "405 Method Not Allowed", "statusCode": 405}


@pytest.mark.parametrize(
    ("python", "npm", "status", "expected"),
    [
        (CLEAN_PYTHON, CLEAN_NPM, 0, ["PyPI: no known vulnerability.", "npm: no known vulnerability."]),
        (BAD_PYTHON, CLEAN_NPM, 1, ["PyPI: aiohttp 1.0: PYSEC-1, mended in 1.1, 2.0"]),
        (CLEAN_PYTHON, BAD_NPM, 1, ["npm: vite: high, <6.0.9"]),
        (SKIPPED_PYTHON, CLEAN_NPM, 3, ["PyPI: the registry answered no audit, so nothing is known."]),
        (CLEAN_PYTHON, REFUSED_NPM, 3, ["npm: the registry answered no audit, so nothing is known."]),
        (SKIPPED_PYTHON, BAD_NPM, 1, ["npm: vite: high, <6.0.9"]),
        (None, None, 3, ["PyPI: the registry answered no audit", "npm: the registry answered no audit"]),
    ],
)
def test_reports_become_lines_and_a_status(
    tmp_path: Path, python: object, npm: object, status: int, expected: list[str]
) -> None:
    files = [tmp_path / "python.json", tmp_path / "npm.json"]
    for file, report in zip(files, (python, npm), strict=True):
        file.write_text("" if report is None else json.dumps(report))
    ran = subprocess.run([sys.executable, PROGRAM, *files], capture_output=True, text=True, check=False)
    assert ran.returncode == status, ran.stderr
    for line in expected:
        assert line in ran.stdout
