"""Pages of lists: reads page[number] and page[size], makes offset and meta (contract section 1.5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from portico.core.errors import Fault

SIZE_DEFAULT = 20
SIZE_MAX = 250
PARAMETERS = ("page[number]", "page[size]")
_NUMBER = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `number` counts from 1."""

    number: int = 1
    size: int = SIZE_DEFAULT

    @property
    def offset(self) -> int:
        """How many results come before this page."""
        return (self.number - 1) * self.size

    def total_pages(self, total_results: int) -> int:
        """How many pages the results fill: 0 for none."""
        return -(-total_results // self.size)


def parse(parameters: Iterable[tuple[str, str]]) -> tuple[Page, list[Fault]]:
    """The page in a query, and every wrong parameter; of a repeated parameter the last one counts."""
    given = dict(parameters)
    faults = []
    number, size = 1, SIZE_DEFAULT
    if (text := given.get("page[number]")) is not None:
        number = int(text) if _NUMBER.fullmatch(text) else 0
        if number < 1:
            faults.append(_fault("page[number]", "It should be a number from 1 on."))
    if (text := given.get("page[size]")) is not None:
        size = int(text) if _NUMBER.fullmatch(text) else 0
        if not 1 <= size <= SIZE_MAX:
            faults.append(_fault("page[size]", f"It should be a number from 1 to {SIZE_MAX}."))
    return (Page() if faults else Page(number, size)), faults


def meta(page: Page, total_results: int) -> dict[str, int]:
    """The `meta` member of a list."""
    return {
        "total_pages": page.total_pages(total_results),
        "total_results": total_results,
        "page_number": page.number,
        "page_size": page.size,
    }


def _fault(parameter: str, advice: str) -> Fault:
    detail = f"The provided 'page' parameter is invalid. {advice}"
    return Fault("10015", "Invalid pagination", detail, parameter=parameter)
