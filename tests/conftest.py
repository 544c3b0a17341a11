"""What every test may use: databases of both kinds, and marks by place."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import *  # noqa: F403

# What an example takes on a machine that is busy with others, which may also stop in the middle of one, is no promise.
settings.register_profile("portico", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("portico")

_MARKS = {"e2e": "e2e", "janus": "janus", "gateway": "janus"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs a real part is marked by the folder that it lives in."""
    here = Path(__file__).parent
    for item in items:
        mark = _MARKS.get(item.path.relative_to(here).parts[0])
        if mark is not None:
            item.add_marker(mark)
