"""Brain crop: the part of a volume that the network processes, at a size that it accepts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class BrainCrop:
    """Box of voxels in a volume, which may extend beyond the volume's borders.

    Attributes:
        start: First voxel along z, y and x; negative if the box starts outside the volume.
        size: Number of voxels along z, y and x.
        volume: Size of the whole volume along z, y and x.
    """

    start: tuple[int, int, int]
    size: tuple[int, int, int]
    volume: tuple[int, int, int]

    @classmethod
    def of_brain(cls, brain: NDArray[np.bool_], multiple: int, smallest: Sequence[int] = (0, 0, 0)) -> "BrainCrop":
        """Return the smallest box around the brain whose sides are multiples of ``multiple`` and at least ``smallest``.

        Args:
            brain: Brain mask (D, H, W), True in at least one voxel.
            multiple: Size multiple of the network in voxels.
            smallest: Lower bound of the size along z, y and x; multiples themselves.
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
        """Cut the box out of a volume (..., D, H, W), padded with zeros."""
        return _pad_or_crop(volume, [(-before, -after) for before, after in self._margins()])

    def paste(self, box: Tensor) -> Tensor:
        """Paste the box into an empty volume: the inverse of `cut`."""
        return _pad_or_crop(box, self._margins())

    def _margins(self) -> list[tuple[int, int]]:
        """Return the voxels of the volume before and after the box along z, y and x; negative outside the volume."""
        return [(s, v - s - n) for s, n, v in zip(self.start, self.size, self.volume, strict=True)]


def _pad_or_crop(x: Tensor, margins: Sequence[tuple[int, int]]) -> Tensor:
    """Add (or, with negative numbers, remove) voxels before and after each of the last three axes."""
    return F.pad(x, [n for margin in reversed(margins) for n in margin])
