"""What a benchmark tells: a row for each thing measured, and the machine it was measured on."""

import statistics
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["window", "case", "train"]


@dataclass(frozen=True)
class Row:
    """One thing measured.

    Attributes:
        name: of the network or program.
        kind: ``window``, a forward pass; ``train``, a whole training step; ``case``, a patient from files to files.
        size: side of the cube of voxels; of a case, voxels in all.
        precision: ``fp32``, or ``bf16`` or ``fp16`` by autocast or in the network's own way.
        device: ``cpu`` or ``cuda``.
        times_s: of the counted runs.
        peak_bytes: the most memory beyond what was held before; of our own command, of the whole process.
        parameters: trainable ones; 0 where unknown.
        flops: floating-point operations of a run, a multiplication and an addition being two; 0 where unknown.
        ceiling_s: what those operations take at the machine's best measured rate; 0 where unknown.
        first_progress_s: of a case, from the start of the program until it first says how far it is; 0 where it does
            not say.
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
    ceiling_s: float = 0.0
    first_progress_s: float = 0.0

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.times_s)


@dataclass(frozen=True)
class Ceiling:
    """The best that the machine does in one precision.

    Attributes:
        matrix_flops: a second, of a large matrix product.
        convolution_flops: a second, of a large convolution.
    """

    matrix_flops: float
    convolution_flops: float

    def seconds(self, flops: int) -> float:
        """For that many operations at the higher of the rates."""
        return flops / max(self.matrix_flops, self.convolution_flops)


@dataclass(frozen=True)
class Machine:
    """What a benchmark ran on.

    Attributes:
        processor: its name and number of cores.
        memory_bytes: of the computer.
        device: ``cpu``, or the GPU's name.
        torch: version.
        copy_bytes: a second, read and written together, of a copy in memory.
        ceilings: by precision.
    """

    processor: str
    memory_bytes: int
    device: str
    torch: str
    copy_bytes: float
    ceilings: dict[str, Ceiling] = field(default_factory=dict)
