"""What every test may use: databases of both kinds, servers and a browser, each of which sets a mark."""

import gc

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.databases import *  # noqa: F403
from tests.parts import *  # noqa: F403
from tests.parts import marks_of

# What an example takes on a machine that is busy with others, which may also stop in the middle of one, is no promise.
settings.register_profile("portico", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("portico"), max_examples=10)
settings.load_profile("portico")

# As the program's log (portico.runtime.logs): structlog's default writes each traceback by rich, for a quarter of a
# second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_configure() -> None:
    """Nothing of what a collection makes is garbage; looking for some takes as long as all the rest of it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on the garbage collector looks only at what tests make."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is marked by the fixtures that it uses, itself or through other fixtures."""
    for item in items:
        for mark in marks_of(getattr(item, "fixturenames", ())):
            item.add_marker(mark)
