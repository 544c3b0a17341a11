"""The rule for names; frontend/test/names.test.mjs holds the pages to the same cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from portico.core.names import display_name

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "names.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_a_name_comes_from_the_label_or_the_context(case: dict[str, Any]) -> None:
    assert display_name(case["label"], case["context"]) == case["name"]
