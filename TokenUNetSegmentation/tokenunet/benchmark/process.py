"""Each thing that is measured lives in a process of its own, so that memory is its own and runs can alternate."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

import psutil
import torch

from tokenunet.allocation import reuse_freed_memory
from tokenunet.errors import TokenUNetError
from tokenunet.inference.memory import PeakMemory


@dataclass(frozen=True)
class Measurement:
    """One run.

    Attributes:
        seconds: from its start to its end.
        peak_bytes: the most memory held during it beyond what was held before. Only that of a process's first run
            tells: what it frees, the process keeps for the next. Of a command, all that it held.
        first_progress_s: of a command, until it first said how far it was.
    """

    seconds: float
    peak_bytes: int
    first_progress_s: float = 0.0


class MeasuredProcess:
    """A process that does one piece of work whenever asked, and says what it took.

    Args:
        make: makes the work; called in the process.
        arguments: of ``make``.
        device: whose memory counts.
    """

    def __init__(self, make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, make, arguments, device), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> "MeasuredProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()

    def measure(self) -> Measurement:
        """Runs the work once.

        Raises:
            TokenUNetError: what the work failed of, or that its process died.
        """
        try:
            self._connection.send(None)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise TokenUNetError(
                "A measured process died, most often for lack of memory.", "Measure smaller sizes or fewer networks."
            ) from error
        if isinstance(answer, TokenUNetError):
            raise answer
        assert isinstance(answer, Measurement)
        return answer


def _serve(
    connection: Connection, make: Callable[..., Callable[[], object]], arguments: tuple, device: torch.device
) -> None:
    reuse_freed_memory()
    work: Callable[[], object] | None = None
    while True:
        try:
            connection.recv()
            work = work or make(*arguments)
            connection.send(_measured(work, device))
        except EOFError:
            return
        except TokenUNetError as error:
            connection.send(error)


def _measured(work: Callable[[], object], device: torch.device) -> Measurement:
    before = psutil.Process().memory_info().rss if device.type == "cpu" else torch.cuda.memory_allocated(device)
    with PeakMemory(device) as memory:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    return Measurement(seconds, memory.bytes - before)
