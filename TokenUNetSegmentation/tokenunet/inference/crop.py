"""The part of a volume that the network looks at: the brain's bounding box, at sizes the network takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class FieldOfView:
    """A box of voxels in a volume, which may reach beyond the volume's borders.

    Attributes:
        start: first voxel along z, y and x; negative where the box begins before the volume.
        size: voxels along z, y and x.
        volume: size of the whole volume along z, y and x.
    """

    start: tuple[int, int, int]
    size: tuple[int, int, int]
    volume: tuple[int, int, int]

    @classmethod
    def of_brain(cls, brain: NDArray[np.bool_], multiple: int, smallest: Sequence[int] = (0, 0, 0)) -> "FieldOfView":
        """The smallest box around the brain whose sides are multiples of ``multiple`` and at least ``smallest``.

        Args:
            brain: (D, H, W), True in at least one voxel.
            multiple: what the network divides its input by, in voxels.
            smallest: lower bound of the size, a multiple itself.
        """
        start, size = [], []
        for axis in range(3):
            inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
            extent = int(inside[-1] - inside[0]) + 1
            side = max(-(-extent // multiple) * multiple, smallest[axis])
            start.append(int(inside[0]) - (side - extent) // 2)
            size.append(side)
        return cls((start[0], start[1], start[2]), (size[0], size[1], size[2]), brain.shape)

    def cut(self, volume: Tensor) -> Tensor:
        """The box out of (..., D, H, W), zero where it reaches beyond."""
        return _pad_or_crop(volume, [(-before, -after) for before, after in self._margins()])

    def paste(self, box: Tensor) -> Tensor:
        """The inverse of `cut`: the whole volume, zero outside the box."""
        return _pad_or_crop(box, self._margins())

    def _margins(self) -> list[tuple[int, int]]:
        """Voxels of the volume before and after the box along z, y and x; negative where the box reaches beyond."""
        return [(s, v - s - n) for s, n, v in zip(self.start, self.size, self.volume, strict=True)]


def _pad_or_crop(x: Tensor, margins: Sequence[tuple[int, int]]) -> Tensor:
    """Adds (or with negative numbers removes) voxels before and after each of the last three axes."""
    return F.pad(x, [n for margin in reversed(margins) for n in margin])
