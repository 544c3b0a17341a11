"""Range headers: which bytes they ask for, which ask for nothing, and which cannot be had (RFC 9110 section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.ranges import NotSatisfiable, asked_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 1000)),
        ("bytes=0-", (0, 1000)),
        ("bytes=999-", (999, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=-500", (500, 1000)),
        ("bytes=-1", (999, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=500-5000", (500, 1000)),
        ("Bytes= 1-2 ", (1, 3)),
    ],
)
def test_a_part_of_a_thousand_bytes(header: str, part: tuple[int, int]) -> None:
    assert asked_range(header, 1000) == part


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,5-6", "items=0-5", "bytes 0-5"),
        *("bytes=+1-2", "bytes=1_0-20", "bytes=\u0661-2", "bytes=1-2\n", "bytes=1 -2", f"bytes={'9' * 5000}-"),
    ],
)
def test_what_is_not_understood_asks_for_the_whole_file(header: str | None) -> None:
    assert asked_range(header, 1000) is None


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001", "bytes=9999999999999999999-", "bytes=-0"])
def test_bytes_beyond_the_end_cannot_be_had(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        asked_range(header, 1000)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_an_empty_file_has_no_part(header: str) -> None:
    with pytest.raises(NotSatisfiable):
        asked_range(header, 0)


@given(st.text("bytes=-,0123456789 ", max_size=20) | st.text(), st.integers(0, 5000))
def test_no_header_leads_out_of_the_file(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            part = asked_range(text, size)
        except NotSatisfiable:
            continue
        assert part is None or 0 <= part[0] < part[1] <= size
