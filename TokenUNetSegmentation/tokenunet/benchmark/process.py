"""Every measurement has a process of its own, so that its memory is its own and no other work's leftovers count."""

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
"""Work whose first run takes longer is not run again: the whole shall end today."""


@dataclass(frozen=True)
class Measurement:
    """What a piece of work took.

    Attributes:
        seconds: of a run after a first one, which warms up; of the first where that takes very long.
        peak_bytes: the most memory held during the first run beyond what was held before; of a command, all of it.
        first_progress_s: of a command, until it first said how far it was.
    """

    seconds: float
    peak_bytes: int
    first_progress_s: float = 0.0


def measure(make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device) -> Measurement:
    """Makes a piece of work in a new process, and measures it there.

    Args:
        make: makes the work.
        arguments: of ``make``.
        device: whose memory counts.

    Raises:
        TokenUNetError: what the work failed of, or that its process died.
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
