"""Waiting for what another process does, and limits of time on a computer that does other work, too."""

import time
from collections.abc import Callable

import psutil


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Asks again and again until something is so; fails where that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def crowding() -> float:
    """Return how many processes share a core at present, at least 1: by so much, limits of time are too short."""
    return max(1.0, psutil.getloadavg()[0] / (psutil.cpu_count() or 1))
