"""Optional postprocessing of nested regions; not part of `segment`."""

import math

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


def without_small_components(regions: NDArray[np.bool_], least_ml: float, voxel_ml: float) -> NDArray[np.bool_]:
    """Remove small connected components of the whole tumor, with all regions inside them.

    Args:
        regions: Nested regions (3, z, y, x) in the order WT, TC, ET.
        least_ml: Volume of the smallest component to keep, in ml.
        voxel_ml: Volume of a voxel in ml.
    """
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(regions[0].astype(np.uint8)), True)
    kept = sitk.RelabelComponent(parts, math.ceil(least_ml / voxel_ml))
    return regions & (sitk.GetArrayViewFromImage(kept) > 0)


def without_holes(regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill holes in the whole tumor and in the core; enhancing tumor is often a ring and is not filled.

    Args:
        regions: Nested regions (3, z, y, x) in the order WT, TC, ET; they stay nested.
    """
    whole, core, enhancing = regions
    return np.stack([_filled(whole), _filled(core), enhancing])


def _filled(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(region.astype(np.uint8)))
    return sitk.GetArrayFromImage(filled).astype(bool)
