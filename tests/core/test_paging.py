"""Pages: parsing by tables, and that the pages of a list are the list."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.paging import Page, meta, parse


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([], Page(1, 20)),
        ([("page[number]", "3"), ("page[size]", "250")], Page(3, 250)),
        ([("page[size]", "1"), ("page[size]", "2")], Page(1, 2)),
        ([("page_size", "5"), ("page[other]", "x"), ("page", "y")], Page(1, 20)),
        ([("page[number]", "007")], Page(7, 20)),
    ],
)
def test_accepted(parameters: list[tuple[str, str]], expected: Page) -> None:
    assert parse(parameters) == (expected, [])


@pytest.mark.parametrize("text", ["0", "251", "-1", "x", "", " 1", "+1", "1.0", "\u0661", "9" * 400, "1_0"])
def test_sizes_refused(text: str) -> None:
    _, faults = parse([("page[size]", text)])
    assert [(fault.code, fault.parameter) for fault in faults] == [("10015", "page[size]")]
    assert faults[0].detail.startswith("The provided 'page' parameter is invalid.")


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "9" * 400])
def test_numbers_refused_beside_sizes(text: str) -> None:
    _, faults = parse([("page[size]", "0"), ("page[number]", text)])
    assert [fault.parameter for fault in faults] == ["page[number]", "page[size]"]


def test_meta_of_an_empty_list() -> None:
    assert meta(Page(), 0) == {"total_pages": 0, "total_results": 0, "page_number": 1, "page_size": 20}


@given(st.integers(0, 2000), st.integers(1, 250))
def test_the_pages_together_are_the_list(total: int, size: int) -> None:
    results = list(range(total))
    pages = Page(1, size).total_pages(total)
    cut = [results[page.offset :][:size] for page in (Page(number, size) for number in range(1, pages + 1))]
    assert list(chain.from_iterable(cut)) == results
    assert all(cut)


@given(st.text(), st.text())
def test_whatever_comes_is_a_page_or_faults(number: str, size: str) -> None:
    page, faults = parse([("page[number]", number), ("page[size]", size)])
    assert page.number >= 1
    assert 1 <= page.size <= 250
    assert len(faults) <= 2
