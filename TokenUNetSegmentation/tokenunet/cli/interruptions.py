"""Handling of Ctrl-C and of requests to terminate."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptions_call(act: Callable[[], None]) -> Iterator[None]:
    """Call a function on SIGINT and SIGTERM while the block runs.

    Args:
        act: Function to call; may raise.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        act()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
