"""The rule for names, in Python and in the pages' TypeScript."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from portico.core.names import display_name

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "names.json").read_text())
FRONTEND = Path(__file__).parents[2] / "frontend"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_a_name_comes_from_the_label_or_the_context(case: dict[str, Any]) -> None:
    assert display_name(case["label"], case["context"]) == case["name"]


def test_the_pages_have_the_same_rule(tmp_path: Path) -> None:
    node, esbuild = shutil.which("node"), FRONTEND / "node_modules" / ".bin" / "esbuild"
    if node is None or not esbuild.exists():
        pytest.skip("The pages cannot be built here.")
    built = tmp_path / "names.mjs"
    source = FRONTEND / "src" / "shared" / "names.ts"
    subprocess.run([esbuild, source, "--format=esm", f"--outfile={built}", "--log-level=error"], check=True, timeout=60)
    program = (
        f"import {{ displayName }} from {json.dumps(str(built))};"
        f"const cases = {json.dumps(CASES)};"
        "console.log(JSON.stringify(cases.map((each) => displayName(each.label, each.context))));"
    )
    command = [node, "--input-type=module", "-e", program]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert json.loads(printed) == [case["name"] for case in CASES]
