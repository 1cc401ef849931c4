"""Distances between the surfaces of segmentations."""

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance
from numpy.typing import NDArray

ABSENT_MM = 373.13
"""The diagonal of BraTS's field of view: BraTS's distance where only one of two segmentations holds the region."""
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
    box = tuple(
        slice(max(0, int(indices.min()) - _MARGIN), int(indices.max()) + 1 + _MARGIN)
        for indices in np.nonzero(prediction | reference)
    )
    masks = [torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (prediction, reference)]
    return float(compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=list(spacing)))
