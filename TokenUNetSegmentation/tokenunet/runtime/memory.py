"""Measurement and estimation of peak memory."""

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
"""Factor for the overhead of the allocator and the workspace of single operations."""
_LIBRARIES_BYTES = 50_000_000
"""Memory that the libraries keep after a first pass of any size."""


class PeakMemory:
    """Context manager that measures peak memory: of a CUDA device, otherwise of this process.

    The process is sampled every few milliseconds, so shorter peaks may be missed.

    Args:
        device: Device whose memory is measured.

    Attributes:
        bytes: Peak memory in bytes, once the block has ended.
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
    """Estimate the peak memory of a forward pass, without weights and input.

    The memory of these networks grows in proportion to the number of voxels, so a pass over a small input suffices.

    Args:
        forward: Function that runs the pass.
        small: Small input (B, C, D, H, W) for it.
        voxels: Number of voxels of the input in question, over its whole batch.

    Returns:
        Estimated peak memory in bytes.
    """
    with torch.inference_mode(), _LiveTensors() as live:
        forward(small)
    return _LIBRARIES_BYTES + round(_ALLOCATOR * live.peak * voxels * small.shape[1] / small.numel())


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a CUDA device, otherwise of the computer, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


class _LiveTensors(TorchDispatchMode):
    """Sum of the storage of all tensors that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, int] = {}
        self._now = self.peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise, PyTorch would import its compiler, which takes a second

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
    """Return the peak resident memory of this process so far, in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # exists on Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
