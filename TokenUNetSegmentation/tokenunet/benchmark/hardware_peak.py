"""Measured hardware peak: matrix products, convolutions and copies."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from torch import nn

from tokenunet.benchmark.rows import HardwarePeak, Machine

_REPEATS = 4
_MATRIX_SIDE = 4096
_CHANNELS, _SIDE = 128, 48
_COPY_VALUES = 2**26
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.inference_mode()
def measure_machine(device: torch.device) -> Machine:
    """Measure the hardware peak of a device, which takes some seconds on an otherwise idle machine."""
    values = torch.zeros(_COPY_VALUES, device=device)
    copy = torch.empty_like(values)
    return Machine(
        cpu=f"{_cpu_name()}, {os.cpu_count()} cores",
        memory_bytes=psutil.virtual_memory().total,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        torch=torch.__version__,
        copy_bytes=2 * values.nbytes / _fastest(lambda: copy.copy_(values), device),
        hardware_peaks={name: _hardware_peak(dtype, device) for name, dtype in DTYPES.items()},
    )


def _hardware_peak(dtype: torch.dtype, device: torch.device) -> HardwarePeak:
    a = torch.rand(_MATRIX_SIDE, _MATRIX_SIDE, dtype=dtype, device=device)
    matrix = 2 * _MATRIX_SIDE**3 / _fastest(lambda: a @ a, device)
    convolution = nn.Conv3d(_CHANNELS, _CHANNELS, 3, padding=1).to(device, dtype)
    convolution.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    x = torch.rand(1, _CHANNELS, _SIDE, _SIDE, _SIDE, dtype=dtype, device=device)
    x = x.to(memory_format=torch.channels_last_3d)
    flops = 2 * 27 * _CHANNELS**2 * _SIDE**3
    return HardwarePeak(matrix, flops / _fastest(lambda: convolution(x), device))


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the fastest of a few runs after a warm-up."""
    times = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def _cpu_name() -> str:
    """Return the model name of the CPU where the system reports it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
