"""Which device and which precision a network runs with."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tokenunet.core.errors import DeviceError
from tokenunet.networks import architecture_of

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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


@dataclass(frozen=True)
class Arithmetic:
    """How a network's numbers lie in memory and are computed.

    Attributes:
        device: where.
        precision: of the heavy operations.
        casts_weights: whether weights and input have the precision's own type, rather than being converted by autocast
            before every heavy operation. Those conversions cost a processor more than the operations; only the
            Token-UNet family is known to keep its result without them.
        layout: of weights and features.
    """

    device: torch.device
    precision: Precision
    casts_weights: bool
    layout: torch.memory_format

    @classmethod
    def fastest(cls, network: nn.Module, device: torch.device, precision: Precision) -> "Arithmetic":
        """For inference with that network."""
        known = architecture_of(network)
        casts_weights = device.type == "cpu" and known is not None and known.cpu_optimized
        return cls(device, precision, casts_weights, fastest_layout(network))

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights and the input."""
        return _DTYPES[self.precision] if self.casts_weights else torch.float32

    def place(self, network: nn.Module) -> nn.Module:
        """The network, changed in place."""
        return network.to(self.device, self.dtype).to(memory_format=self.layout)  # type: ignore[call-overload]

    def place_input(self, x: Tensor) -> Tensor:
        """The tensor (B, C, D, H, W) as the placed network takes it."""
        return x.to(self.device, self.dtype, non_blocking=True, memory_format=self.layout)

    def autocast(self) -> torch.autocast:
        """A context in which the network's heavy operations run in the precision."""
        dtype = torch.bfloat16 if self.precision == "fp32" else _DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=self.precision != "fp32" and not self.casts_weights)


def fastest_layout(network: nn.Module) -> torch.memory_format:
    """Return the memory layout of weights and features in which the network is fastest.

    With channels last, convolutions run fastest; networks that do not declare it have operations that would copy such
    features to the other layout and back.
    """
    known = architecture_of(network)
    return torch.channels_last_3d if known is not None and known.channels_last else torch.contiguous_format


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch or Python ran out of the device's or the computer's memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On the CPU and on Apple's GPU PyTorch raises a plain RuntimeError, and so does MONAI in place of PyTorch's.
    return isinstance(error, RuntimeError) and any(
        words in str(error)
        for words in ("can't allocate memory", "not enough memory", "out of memory", "Seems to be OOM")
    )
