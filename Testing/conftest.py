"""Leaves no process behind: later tests count those that they start."""

from collections.abc import Iterator
from multiprocessing import resource_tracker

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_resource_tracker() -> Iterator[None]:
    """Ends the helper process that Python starts beside the first spawned one and keeps to its own end."""
    yield
    resource_tracker._resource_tracker._stop()
