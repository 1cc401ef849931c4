"""Scans of one patient on the grid of a model, before normalization."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import background_value, foreground
from tokenunet.core.grid import Grid, thinned
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SequenceName
from tokenunet.preprocessing.register import Alignment
from tokenunet.study.scans import Study

_SPACING_TOLERANCE = 1e-3
"""Relative difference up to which a spacing counts as the model's."""
_LEAST_INSIDE, _SURELY_INSIDE = 0.1, 0.9
"""Share of a thick voxel inside the brain from which its intensity is known, and from which it counts as brain."""
_THICK = 1.5
"""Spacing from which slices count as thick, relative to the scan with the thinnest."""


@dataclass(frozen=True)
class OnGrid:
    """A scan on the model's grid; all arrays are (D, H, W).

    Attributes:
        values: Intensities.
        seen: Field of view of the scan.
        brain: Brain mask of a resampled skull-stripped scan; None for others.
        reached: Voxels of that scan that overlap the brain at least in part, so that their intensities are known.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.bool_]
    brain: NDArray[np.bool_] | None = None
    reached: NDArray[np.bool_] | None = None


def on_common_grid(
    study: Study,
    space: ModelSpace,
    alignments: Mapping[SequenceName, Alignment],
    stripped: Sequence[SequenceName],
) -> tuple[Grid, dict[SequenceName, OnGrid]]:
    """Bring all scans onto the reference's field of view, in the model's orientation and spacing.

    Args:
        study: Scans of one patient.
        space: Space of the model.
        alignments: Rigid alignment by sequence; see `prepare`.
        stripped: Sequences that show only the brain; they get a background of 0 when they are resampled.
    """
    oriented = {s: sitk.DICOMOrient(scan.image, space.orientation) for s, scan in study.scans.items()}
    grid = Grid.of(oriented[study.reference])
    if space.resamples and not np.allclose(grid.spacing, space.spacing, rtol=_SPACING_TOLERANCE):
        grid = grid.with_spacing(space.spacing)
    thinnest = min((max(oriented[s].GetSpacing()) for s in stripped), default=0.0)
    scans = {}
    for sequence, image in oriented.items():
        own = Grid.of(image)
        transform = alignments[sequence].transform if sequence in alignments else None
        seen = np.ones(grid.size[::-1], bool)
        if transform is not None or not own.same_as(grid):
            everywhere = own.image(np.ones(own.size[::-1], np.uint8))
            seen = sitk.GetArrayFromImage(grid.resample(everywhere, sitk.sitkNearestNeighbor, transform)) > 0
            if sequence in stripped:
                thick = max(own.spacing) > _THICK * thinnest
                shares = (_LEAST_INSIDE, _SURELY_INSIDE) if thick else (0.5, 0.5)
                scans[sequence] = _brain_on_grid(image, grid, transform, seen, *shares)
                continue
            image = grid.resample(thinned(image, min(grid.spacing)), transform=transform)
        scans[sequence] = OnGrid(sitk.GetArrayFromImage(image), seen)
    return grid, scans


def _brain_on_grid(
    image: sitk.Image,
    grid: Grid,
    transform: sitk.Transform | None,
    seen: NDArray[np.bool_],
    least_reached: float,
    least_inside: float,
) -> OnGrid:
    """Resample a skull-stripped scan; each voxel gets the mean intensity of its part inside the brain.

    A scan with thick slices ends up to half a slice above or below the brain that the others show, so that it shows
    the brain for sure only where nearly all of a voxel is inside.

    Args:
        image: Scan.
        grid: Grid of the model.
        transform: Alignment to the reference; None if there is none.
        seen: Field of view of the scan, (D, H, W).
        least_reached: Share of a voxel inside the brain from which on its intensity is known.
        least_inside: Share of a voxel inside the brain from which on it counts as brain.
    """
    array = sitk.GetArrayViewFromImage(image)
    background = background_value(array)
    shown = Grid.of(image).image(foreground(array).astype(np.float32))
    share, values = (
        sitk.GetArrayFromImage(grid.resample(thinned(part, min(grid.spacing)), transform=transform))
        for part in (shown, image - background)
    )
    reached = share >= least_reached
    inside = np.divide(values, share, out=np.zeros(values.shape), where=reached)
    return OnGrid(inside.astype(np.float32), seen, share >= least_inside, reached)
