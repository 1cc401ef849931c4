"""Where the voxels of an image lie in space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

Triple = tuple[float, float, float]

# Headers written by different programs differ in the last digits of their single-precision numbers.
_TOLERANCE_VOXELS = 0.05


@dataclass(frozen=True)
class Grid:
    """Size and placement of a 3-D image, in SimpleITK's conventions.

    Attributes:
        size: voxels along x, y and z.
        spacing: of voxels along x, y and z, in mm.
        origin: center of the first voxel, in LPS mm.
        direction: 3 x 3 cosines of the axes, row by row.
    """

    size: tuple[int, int, int]
    spacing: Triple
    origin: Triple
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> "Grid":
        """The grid of a 3-D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def index_to_lps(self) -> NDArray[np.float64]:
        """4 x 4 matrix from voxel indices (x, y, z) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in milliliters."""
        return float(np.prod(self.spacing)) / 1000

    @property
    def orientation(self) -> str:
        """Three letters toward which x, y and z mostly grow, such as ``LPS``."""
        return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(self.direction)

    def same_as(self, other: "Grid") -> bool:
        """Whether both have the same voxels: the same size, and corners within a twentieth of a voxel."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1)
        distance = np.abs(_points(self, corners) - _points(other, corners)).max()
        return bool(distance <= _TOLERANCE_VOXELS * min(self.spacing))

    def with_spacing(self, spacing: Triple) -> "Grid":
        """The same field of view in voxels of another size."""
        sides = zip(self.size, self.spacing, spacing, strict=True)
        x, y, z = (max(round(n * old / new), 1) for n, old, new in sides)
        # The outer faces stay where they are, so the first voxel's center moves.
        start = [(new / old - 1) / 2 for old, new in zip(self.spacing, spacing, strict=True)]
        return replace(self, size=(x, y, z), spacing=spacing, origin=self._at(start))

    def coarsened(self, factor: int, start: Sequence[int], size: tuple[int, int, int]) -> "Grid":
        """The grid of what pooling by ``factor`` leaves of a box of this grid.

        Args:
            factor: voxels of this grid along each side of a coarse voxel.
            start: first voxel of the box along x, y and z.
            size: coarse voxels along x, y and z.
        """
        center = [s + (factor - 1) / 2 for s in start]
        x, y, z = self.spacing
        return replace(self, size=size, spacing=(factor * x, factor * y, factor * z), origin=self._at(center))

    def image(self, array: NDArray) -> sitk.Image:
        """An image with this grid from an array (z, y, x)."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    def resample(
        self, image: sitk.Image, interpolator: int = sitk.sitkLinear, transform: sitk.Transform | None = None
    ) -> sitk.Image:
        """The image on this grid, 0 where it does not reach.

        Args:
            image: to bring here.
            interpolator: of SimpleITK.
            transform: from this grid's space to the image's; the same space when None.
        """
        transform = transform or sitk.Transform()
        return sitk.Resample(image, self.size, transform, interpolator, self.origin, self.spacing, self.direction, 0.0)

    def _at(self, index: ArrayLike) -> Triple:
        x, y, z = self.index_to_lps[:3, :3] @ np.asarray(index) + self.origin
        return float(x), float(y), float(z)


def thinned(image: sitk.Image, spacing: float) -> sitk.Image:
    """The image with voxels finer than ``spacing`` (mm) averaged up to it, as resampling looks at eight voxels only."""
    return sitk.BinShrink(image, [max(1, int(spacing / s)) for s in image.GetSpacing()])


def _points(grid: Grid, indices: NDArray) -> NDArray[np.float64]:
    """LPS coordinates (3, n) of voxel indices (3, n)."""
    matrix = grid.index_to_lps
    return matrix[:3, :3] @ indices + matrix[:3, 3:]
