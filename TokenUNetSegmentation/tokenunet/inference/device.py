"""Which device and which precision a network runs with."""

from typing import Literal

import torch

from tokenunet.errors import DeviceError

Precision = Literal["fp32", "bf16", "fp16"]


def resolve_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first CUDA GPU, else Apple's GPU, else the CPU.

    Args:
        name: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    Raises:
        DeviceError: where there is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name!r} is not a device.", "Use auto, cpu, mps or cuda:N.") from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 0):
        raise DeviceError(f"This computer has no device {name}.", "Use --device auto or --device cpu.")
    return torch.device("cuda:0") if name == "cuda" else device


def fastest_precision(device: torch.device) -> Precision:
    """The precision that is fastest on the device without changing the result visibly.

    Half precision where the hardware computes it directly; elsewhere it would be emulated and slower.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _computes_bf16():
        return "bf16"
    return "fp32"


def _computes_bf16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer versions of PyTorch have it
    return bool(capabilities and capabilities().get("avx512_bf16", False))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which the network's heavy operations run in ``precision``."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch or Python ran out of the device's or the computer's memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On the CPU and on Apple's GPU PyTorch raises a plain RuntimeError.
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory")
    )
