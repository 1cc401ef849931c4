"""How much memory a piece of work takes."""

import threading
from types import TracebackType

import psutil
import torch

_PAUSE_S = 0.005


class PeakMemory:
    """The most memory that is held while the block runs: of the device, or of this process where that is the CPU.

    A process is looked at every few milliseconds; what is held for a shorter time may be missed.

    Attributes:
        bytes: the peak, once the block has ended.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.bytes = 0

    def __enter__(self) -> "PeakMemory":
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self._ended.set()
            self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            if self._ended.wait(_PAUSE_S):
                break
