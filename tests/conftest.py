"""What every test may use: databases of both kinds, and marks by place."""

from pathlib import Path

import pytest

from tests.databases import *  # noqa: F403

_MARKS = {"e2e": "e2e", "media": "janus", "gateway": "janus"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs a real part is marked by the folder that it lives in."""
    here = Path(__file__).parent
    for item in items:
        mark = _MARKS.get(item.path.relative_to(here).parts[0])
        if mark is not None:
            item.add_marker(mark)
