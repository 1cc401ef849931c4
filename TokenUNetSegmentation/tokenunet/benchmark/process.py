"""Measurement of a piece of work in its own process, so that its memory is not mixed with other work's."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import psutil
import torch

from tokenunet.core.errors import TokenUNetError
from tokenunet.runtime.memory import PeakMemory

LONGEST_S = 60.0
"""Work whose first run takes longer, in seconds, is not repeated."""


@dataclass(frozen=True)
class Measurement:
    """Time and memory of a piece of work.

    Attributes:
        seconds: Duration of a run after a warm-up, or of the first if that is longer than `LONGEST_S`.
        peak_bytes: Peak memory of the first run above the start; for a command, of the whole process.
        first_progress_s: Seconds from the start of a command to its first progress event.
    """

    seconds: float
    peak_bytes: int
    first_progress_s: float = 0.0


def measure(make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device) -> Measurement:
    """Build and measure a piece of work in a new process.

    Args:
        make: Function that returns the work.
        arguments: Positional arguments of ``make``.
        device: Device whose memory is measured.

    Raises:
        TokenUNetError: If the work fails or its process dies.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_measure, args=(there, make, arguments, device), daemon=True)
    process.start()
    there.close()
    try:
        answer = here.recv()
    except EOFError as error:
        raise TokenUNetError(
            "A measured process died, most often for lack of memory.", "Measure a smaller size or fewer networks."
        ) from error
    finally:
        process.kill()
        process.join()
    if isinstance(answer, TokenUNetError):
        raise answer
    assert isinstance(answer, Measurement)
    return answer


def _measure(
    connection: Connection, make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device
) -> None:
    try:
        work = make(*arguments)
    except TokenUNetError as error:
        connection.send(error)
        return
    before = psutil.Process().memory_info().rss if device.type == "cpu" else torch.cuda.memory_allocated(device)
    with PeakMemory(device) as memory:
        seconds = _seconds(work)
    connection.send(Measurement(seconds if seconds > LONGEST_S else _seconds(work), memory.bytes - before))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
