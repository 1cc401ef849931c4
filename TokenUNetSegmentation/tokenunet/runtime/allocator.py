"""Allocator settings that keep freed memory inside the process, for the next convolution to use.

GNU's C library returns every large block to the system when it is freed, and the system clears each page of a new
block at its first access. For feature maps of a hundred megabytes, that takes longer than computing them.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def reuse_freed_memory(*_: object) -> None:
    """Keep freed memory in this process, if the C library is GNU's.

    Args:
        *_: Ignored; PyTorch passes the number of a data loading worker.
    """
    if (mallopt := _gnu_function("mallopt")) is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def give_back_freed_memory() -> None:
    """Return freed memory to the system."""
    if (malloc_trim := _gnu_function("malloc_trim")) is not None:
        malloc_trim(0)


def _gnu_function(name: str) -> "ctypes._NamedFuncPointer | None":
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
