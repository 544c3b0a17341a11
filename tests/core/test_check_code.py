"""The code of a connection check: decoded as the page encodes it, and refused with any one mistake in it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from portico.core.check_code import CheckResult, NoCheckCode, decode

EXAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "check_codes.json").read_text())
"""What frontend/test/check_code.test.mjs encodes."""
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_a_code_says_what_the_page_encoded(example: dict[str, Any]) -> None:
    expected = CheckResult(datetime.fromisoformat(example["at"]), example["facts"])
    assert decode(example["code"]) == expected
    assert list(decode(example["code"]).facts) == list(example["facts"])


def test_groups_case_and_letters_that_look_like_digits_do_not_matter() -> None:
    code = next(example["code"] for example in EXAMPLES if "1" in example["code"] or "0" in example["code"])
    expected = decode(code)
    for other in (code.lower(), code.replace("-", ""), f" {code} \n", code.replace("-", " ")):
        assert decode(other) == expected
    assert decode(code.replace("1", "I").replace("0", "O")) == expected
    assert decode(code.replace("1", "l").replace("0", "o")) == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_any_one_wrong_character_is_noticed(example: dict[str, Any]) -> None:
    code = example["code"].replace("-", "")
    for index, right in enumerate(code):
        for wrong in LETTERS.replace(right, ""):
            with pytest.raises(NoCheckCode):
                decode(code[:index] + wrong + code[index + 1 :])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_exchanged_neighbours_are_noticed(example: dict[str, Any]) -> None:
    code = example["code"].replace("-", "")
    for index in range(len(code) - 1):
        exchanged = code[:index] + code[index + 1] + code[index] + code[index + 2 :]
        if exchanged != code:
            with pytest.raises(NoCheckCode):
                decode(exchanged)


@pytest.mark.parametrize("text", ["", "95CJ-2A4X-GP78", "95CJ-2A4X-GP78-3FKK-0", "95CJ-2A4X-GP78-3FK!", "é" * 16])
def test_what_is_no_code_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(NoCheckCode, match="16 letters and digits"):
        decode(text)


def test_a_code_of_a_later_form_is_refused_in_words() -> None:
    value = 2 << 69
    number = value << 9 | value % 509
    code = "".join(LETTERS[number >> (5 * index) & 31] for index in reversed(range(16)))
    with pytest.raises(NoCheckCode, match="form 2"):
        decode(code)
