"""Distances between the surfaces of segmentations."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS, RegionName

ABSENT_MM = 373.13
"""Diagonal of BraTS's images in mm: the distance if only one of two segmentations has the region."""
TOLERANCE_MM = 1.0
"""Distance up to which surface Dice counts a surface as found."""
_MARGIN = 2


def hausdorff95(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    """Return the 95th percentile of the distances between two surfaces, in mm, by BraTS's rule for absent regions.

    Args:
        prediction: Mask, (D, H, W).
        reference: Mask of the same shape.
        spacing: Voxel size along (z, y, x), in mm.
    """
    if not prediction.any() and not reference.any():
        return 0.0
    if not prediction.any() or not reference.any():
        return ABSENT_MM
    masks = _cropped(prediction, reference)
    with _without_monais_warning():
        return float(compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=list(spacing)))


def surface_dice(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing: tuple[float, ...]) -> float:
    """Return the share of two surfaces that is within `TOLERANCE_MM` of the other one (normalized surface Dice).

    It is 1 where both regions are absent, 0 where one is.

    Args:
        prediction: Mask, (D, H, W).
        reference: Mask of the same shape.
        spacing: Voxel size along (z, y, x), in mm.
    """
    if not prediction.any() or not reference.any():
        return float(prediction.any() == reference.any())
    masks = _cropped(prediction, reference)
    with _without_monais_warning():
        return float(compute_surface_dice(*masks, [TOLERANCE_MM], include_background=True, spacing=list(spacing)))


def surface_scores(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_], grid: Grid
) -> tuple[dict[RegionName, float], dict[RegionName, float]]:
    """Return HD95 in mm and surface Dice, each by region.

    Args:
        prediction: Regions (3, D, H, W) in the order of `REGIONS`.
        reference: Regions of the same shape.
        grid: Grid of both.
    """
    spacing = tuple(reversed(grid.spacing))
    pairs = list(zip(REGIONS, prediction, reference, strict=True))
    return (
        {name: round(hausdorff95(predicted, true, spacing), 2) for name, predicted, true in pairs},
        {name: round(surface_dice(predicted, true, spacing), 4) for name, predicted, true in pairs},
    )


@contextmanager
def _without_monais_warning() -> Iterator[None]:
    """Suppress a warning of MONAI about one of its own calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        yield


def _cropped(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> list[Tensor]:
    """Cut both to what they contain, as tensors (1, 1, d, h, w)."""
    box = tuple(
        slice(max(0, int(indices.min()) - _MARGIN), int(indices.max()) + 1 + _MARGIN)
        for indices in np.nonzero(prediction | reference)
    )
    return [torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (prediction, reference)]
