"""Voxel grid of an image: size, spacing and placement in space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

Triple = tuple[float, float, float]

_TOLERANCE_VOXELS = 0.05
"""Headers written by different programs differ in the last digits of their single-precision numbers."""


@dataclass(frozen=True)
class Grid:
    """Size and placement of a 3-D image, in SimpleITK's conventions.

    Attributes:
        size: Number of voxels along x, y and z.
        spacing: Voxel size along x, y and z in mm.
        origin: Center of the first voxel in LPS mm.
        direction: Cosines of the axes, 3 x 3, row by row.
    """

    size: tuple[int, int, int]
    spacing: Triple
    origin: Triple
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> "Grid":
        """Return the grid of a 3-D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def index_to_lps(self) -> NDArray[np.float64]:
        """Matrix (4, 4) from voxel indices (x, y, z) to LPS mm."""
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
        """Anatomical directions toward which x, y and z grow, such as ``LPS``."""
        return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(self.direction)

    def same_as(self, other: "Grid") -> bool:
        """Return whether both grids have the same size, and corners within a twentieth of a voxel."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1)
        distance = np.abs(_points(self, corners) - _points(other, corners)).max()
        return bool(distance <= _TOLERANCE_VOXELS * min(self.spacing))

    def with_spacing(self, spacing: Triple) -> "Grid":
        """Return a grid with another voxel size that covers the same box.

        Args:
            spacing: Voxel size along x, y and z in mm.
        """
        sides = zip(self.size, self.spacing, spacing, strict=True)
        x, y, z = (max(round(n * old / new), 1) for n, old, new in sides)
        # The outer faces stay in place, so the first voxel's center moves.
        start = [(new / old - 1) / 2 for old, new in zip(self.spacing, spacing, strict=True)]
        return replace(self, size=(x, y, z), spacing=spacing, origin=self._at(start))

    def coarsened(self, factor: int, start: Sequence[int], size: tuple[int, int, int]) -> "Grid":
        """Return the grid of a box of this grid after pooling.

        Args:
            factor: Number of voxels of this grid along each side of a coarse voxel.
            start: First voxel of the box along x, y and z.
            size: Number of coarse voxels along x, y and z.
        """
        center = [s + (factor - 1) / 2 for s in start]
        x, y, z = self.spacing
        return replace(self, size=size, spacing=(factor * x, factor * y, factor * z), origin=self._at(center))

    def image(self, array: NDArray) -> sitk.Image:
        """Return an array (z, y, x) as an image with this grid."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    def resample(
        self, image: sitk.Image, interpolator: int = sitk.sitkLinear, transform: sitk.Transform | None = None
    ) -> sitk.Image:
        """Resample an image to this grid.

        Args:
            image: Image to resample.
            interpolator: Interpolator of SimpleITK.
            transform: Transform from this grid's space to the image's; None is the identity.

        Returns:
            Image on this grid, 0 outside the original image.
        """
        transform = transform or sitk.Transform()
        return sitk.Resample(image, self.size, transform, interpolator, self.origin, self.spacing, self.direction, 0.0)

    def _at(self, index: ArrayLike) -> Triple:
        x, y, z = self.index_to_lps[:3, :3] @ np.asarray(index) + self.origin
        return float(x), float(y), float(z)


def thinned(image: sitk.Image, spacing: float) -> sitk.Image:
    """Average voxels that are finer than a spacing, since linear resampling considers eight voxels only.

    Args:
        image: Image of any spacing.
        spacing: Target spacing in mm.
    """
    return sitk.BinShrink(image, [max(1, int(spacing / s)) for s in image.GetSpacing()])


def _points(grid: Grid, indices: NDArray) -> NDArray[np.float64]:
    """Return the LPS coordinates (3, n) of voxel indices (3, n)."""
    matrix = grid.index_to_lps
    return matrix[:3, :3] @ indices + matrix[:3, 3:]
