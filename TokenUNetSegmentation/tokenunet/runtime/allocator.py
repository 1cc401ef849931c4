"""Keeps freed memory inside the process: what a convolution gives back, the next one takes.

The C library of Linux returns every large block to the system when it is freed, and the system clears each page of a
new one at its first touch. For feature maps of a hundred megabytes that takes longer than to compute them.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def reuse_freed_memory(*_: object) -> None:
    """Makes this process keep what it frees, where the C library is GNU's; takes and ignores a worker's number."""
    if (mallopt := _gnu_function("mallopt")) is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def give_back_freed_memory() -> None:
    """Returns to the system what this process has freed."""
    if (malloc_trim := _gnu_function("malloc_trim")) is not None:
        malloc_trim(0)


def _gnu_function(name: str) -> "ctypes._NamedFuncPointer | None":
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
