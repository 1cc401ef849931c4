"""One thread per test process, and no helper process left behind."""

import os
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker

# Before PyTorch is imported: `make test` runs two processes, and the last bits of a sum depend on the threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_helper_processes() -> Iterator[None]:
    """End the processes that `multiprocessing` keeps to its own end: later tests count the processes they start."""
    yield
    forkserver._forkserver._stop()
    resource_tracker._resource_tracker._stop()
