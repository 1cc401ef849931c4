"""How much memory a piece of work takes: measured, and predicted without doing it."""

import sys
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_PAUSE_S = 0.005
_ALLOCATOR = 1.1
"""What an allocator holds for every byte in use, and what single operations use inside themselves."""
_LIBRARIES_BYTES = 50_000_000
"""What the libraries of a first pass keep for themselves, whatever its size."""


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


def predicted_peak_bytes(forward: Callable[[Tensor], object], small: Tensor, voxels: int) -> int:
    """The most memory that a forward pass holds besides weights and input.

    All that grows in these networks grows with the number of voxels, so a pass over a small input is enough.

    Args:
        forward: the pass.
        small: an input (B, C, D, H, W) for it that takes no time.
        voxels: of the input that is asked about, over all its batch.
    """
    with torch.inference_mode(), _LiveTensors() as live:
        forward(small)
    return _LIBRARIES_BYTES + round(_ALLOCATOR * live.peak * voxels * small.shape[1] / small.numel())


def free_bytes(device: torch.device) -> int:
    """Memory that the device has left, of the computer where that is the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


class _LiveTensors(TorchDispatchMode):
    """Adds up the storage of the tensors that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        self._now = self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # PyTorch's compiler, which it would import for that, takes a second

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self._sizes:
                self._sizes[storage._cdata] = storage.nbytes()
                self._now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata)
        self.peak = max(self.peak, self._now)
        return result

    def _forget(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def peak_memory_bytes() -> int:
    """The most memory this process has held so far: on Windows and Unix alike the resident set."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # exists on Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
