"""Rows of a benchmark, and the machine they were measured on."""

import statistics
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["window", "case", "train"]


@dataclass(frozen=True)
class Row:
    """One measured network or program.

    Attributes:
        name: Name of the network or program.
        kind: ``window``, a forward pass; ``train``, a whole training step; ``case``, a patient from files to files.
        size: Side of the cube in voxels; for a case, the number of voxels.
        precision: ``fp32``, or ``bf16`` or ``fp16`` by autocast or by the network itself.
        device: ``cpu`` or ``cuda``.
        times_s: Duration of each counted run in seconds.
        peak_bytes: Peak memory above the start; for the `tokenunet` command, of the whole process.
        parameters: Number of trainable parameters; 0 if unknown.
        flops: Floating-point operations of a run, counting a multiply-add as two; 0 if unknown.
        hardware_peak_s: Duration of these operations at the hardware peak, in seconds; 0 if unknown.
        first_progress_s: Seconds from the start of a case to its first progress event; 0 if it reports none.
    """

    name: str
    kind: Kind
    size: int
    precision: str
    device: str
    times_s: tuple[float, ...]
    peak_bytes: int
    parameters: int = 0
    flops: int = 0
    hardware_peak_s: float = 0.0
    first_progress_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Median duration in seconds."""
        return statistics.median(self.times_s)


@dataclass(frozen=True)
class HardwarePeak:
    """Measured hardware peak in one precision.

    Attributes:
        matrix_flops: Operations per second of a large matrix product.
        convolution_flops: Operations per second of a large convolution.
    """

    matrix_flops: float
    convolution_flops: float

    def seconds(self, flops: int) -> float:
        """Return the seconds that a number of operations takes at the higher rate."""
        return flops / max(self.matrix_flops, self.convolution_flops)


@dataclass(frozen=True)
class Machine:
    """Machine that a benchmark ran on.

    Attributes:
        cpu: Name of the CPU and its number of cores.
        memory_bytes: Main memory in bytes.
        device: ``cpu``, or the name of the GPU.
        torch: Version of PyTorch.
        copy_bytes: Bytes read and written per second by a copy in memory.
        hardware_peaks: Hardware peak by precision.
    """

    cpu: str
    memory_bytes: int
    device: str
    torch: str
    copy_bytes: float
    hardware_peaks: dict[str, HardwarePeak] = field(default_factory=dict)
