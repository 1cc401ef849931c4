"""Device, precision and memory layout that a network runs with."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from tokenunet.core.errors import DeviceError
from tokenunet.networks import architecture_of

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the first CUDA or ROCm GPU, otherwise Apple's GPU, otherwise the CPU.

    ``auto`` takes Apple's GPU only if this PyTorch has what the networks need there.

    Args:
        name: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    Raises:
        DeviceError: If there is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() and _mps_runs_networks() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name!r} is not a device.", "Use auto, cpu, mps or cuda:N.") from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count.get(device.type, 0):
        raise DeviceError(f"This computer has no device {name}.", "Use --device auto or --device cpu.")
    return torch.device("cuda:0") if name == "cuda" else device


@cache
def _mps_runs_networks() -> bool:
    """Return whether this PyTorch has the operations of 3-D networks for Apple's GPU, by trying them."""
    try:
        x = torch.zeros(1, 1, 4, 4, 4, device="mps")
        weight = torch.zeros(1, 1, 2, 2, 2, device="mps")
        nn.functional.instance_norm(nn.functional.conv3d(x, weight))
        nn.functional.conv_transpose3d(x, weight, stride=2)
        nn.functional.interpolate(x, scale_factor=2, mode="trilinear")
    except (NotImplementedError, RuntimeError, TypeError):
        return False
    return True


def fastest_precision(device: torch.device) -> Precision:
    """Return the precision that is fastest on a device without changing the result visibly.

    It is half precision if the hardware supports it natively; otherwise it would be emulated and slower.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _computes_bf16():
        return "bf16"
    return "fp32"


def _computes_bf16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # newer versions of PyTorch have it
    return bool(capabilities and capabilities().get("avx512_bf16", False))


@dataclass(frozen=True)
class Arithmetic:
    """Device, precision and memory layout of a network's computations.

    Attributes:
        device: Device of weights and features.
        precision: Precision of the heavy operations.
        casts_weights: Whether weights and input are stored in the precision, rather than converted by autocast before
            every heavy operation. On a CPU, those conversions cost more than the operations; only the Token-UNet family
            is known to keep its result without them.
        layout: Memory layout of weights and features.
    """

    device: torch.device
    precision: Precision
    casts_weights: bool
    layout: torch.memory_format

    @classmethod
    def fastest(cls, network: nn.Module, device: torch.device, precision: Precision) -> "Arithmetic":
        """Return the fastest arithmetic for inference with a network.

        Args:
            network: Network, whose registered architecture decides.
            device: Device to run on.
            precision: Precision of the heavy operations.
        """
        known = architecture_of(network)
        casts_weights = device.type == "cpu" and known is not None and known.cpu_optimized
        return cls(device, precision, casts_weights, fastest_layout(network))

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and the input."""
        return _DTYPES[self.precision] if self.casts_weights else torch.float32

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, type and layout, in place."""
        return network.to(self.device, self.dtype).to(memory_format=self.layout)  # type: ignore[call-overload]

    def place_input(self, x: Tensor) -> Tensor:
        """Move a tensor (B, C, D, H, W) to the device, type and layout of the placed network."""
        return x.to(self.device, self.dtype, non_blocking=True, memory_format=self.layout)

    def autocast(self) -> torch.autocast:
        """Return a context in which the network's heavy operations run in the precision."""
        dtype = torch.bfloat16 if self.precision == "fp32" else _DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=self.precision != "fp32" and not self.casts_weights)


def fastest_layout(network: nn.Module) -> torch.memory_format:
    """Return the memory layout of weights and features in which a network is fastest.

    Convolutions are fastest with channels last; networks that do not declare it have operations that would copy such
    features to the other layout and back.
    """
    known = architecture_of(network)
    return torch.channels_last_3d if known is not None and known.channels_last else torch.contiguous_format


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of PyTorch, MONAI or Python means that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On the CPU and on Apple's GPU PyTorch raises a plain RuntimeError, and so does MONAI in place of PyTorch's.
    return isinstance(error, RuntimeError) and any(
        words in str(error)
        for words in ("can't allocate memory", "not enough memory", "out of memory", "Seems to be OOM")
    )


def is_unsupported_on_mps(error: BaseException) -> bool:
    """Return whether PyTorch lacks an operation or a data type on Apple's GPU.

    Example:
        >>> is_unsupported_on_mps(NotImplementedError("'aten::x' is not currently implemented for the MPS device."))
        True
    """
    return isinstance(error, NotImplementedError | RuntimeError | TypeError) and "mps" in str(error).lower()
