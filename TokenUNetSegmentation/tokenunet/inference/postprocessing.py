"""Steps that may follow the network, on nested regions; none of them is part of `segment`."""

import math

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


def without_small_components(regions: NDArray[np.bool_], least_ml: float, voxel_ml: float) -> NDArray[np.bool_]:
    """Drops the connected parts of the whole tumor that are smaller than any plausible one, and all inside them.

    Args:
        regions: (3, z, y, x) of WT, TC and ET, nested.
        least_ml: volume of the smallest part that stays.
        voxel_ml: volume of a voxel.
    """
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(regions[0].astype(np.uint8)), True)
    kept = sitk.RelabelComponent(parts, math.ceil(least_ml / voxel_ml))
    return regions & (sitk.GetArrayViewFromImage(kept) > 0)


def without_holes(regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fills what the whole tumor or the core encloses; enhancing tumor often is a ring and stays one.

    Args:
        regions: (3, z, y, x) of WT, TC and ET, nested; they stay so.
    """
    whole, core, enhancing = regions
    return np.stack([_filled(whole), _filled(core), enhancing])


def _filled(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(region.astype(np.uint8)))
    return sitk.GetArrayFromImage(filled).astype(bool)
