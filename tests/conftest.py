"""What every test may use: databases of both kinds, servers and a browser, each of which sets a mark."""

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import *  # noqa: F403
from tests.parts import *  # noqa: F403
from tests.parts import marks_of

# What an example takes on a machine that is busy with others, which may also stop in the middle of one, is no promise.
settings.register_profile("portico", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("portico"), max_examples=20)
settings.load_profile("portico")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by the fixtures that it uses, itself or through other fixtures."""
    for item in items:
        for mark in marks_of(getattr(item, "fixturenames", ())):
            item.add_marker(mark)
