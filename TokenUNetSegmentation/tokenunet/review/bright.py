"""Regions that are bright and unlike the other side of the brain: what a reader's eye catches without a network."""

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid

_BRIGHT = {"FLAIR": 1.3, "T1ce": 1.8}
"""Least brightness in standard deviations of the brain."""
_ASYMMETRY = 1.0
"""Least difference to the other side, in the same unit."""
_SMOOTHING_MM, _MIRRORED_MM = 2.0, 5.0
"""Gaussian smoothing of a scan and of its mirror image, which is not exactly aligned."""
_DARK = -1.0
"""Upper end of cerebrospinal fluid in FLAIR."""
_DEEP_MM, _RIM_MM = 15.0, 5.0
"""Depth below the brain's surface from which on fluid is that of a ventricle, and width of the rim around it."""


def bright_asymmetric(
    scans: Mapping[str, NDArray[np.float32]], brain: NDArray[np.bool_], grid: Grid
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Find what is bright in FLAIR or after contrast agent, not so on the other side, and not at the ventricles.

    Args:
        scans: Normalized scans (D, H, W) by channel.
        brain: Brain mask (D, H, W).
        grid: Grid of both, whose x-axis is the patient's left-right axis.

    Returns:
        Mask (D, H, W) of such regions, and the larger difference of both scans to the other side.
    """
    found = np.zeros(brain.shape, bool)
    asymmetry = np.zeros(brain.shape, np.float32)
    for name, least in _BRIGHT.items():
        scan = scans.get(name)
        if scan is None or not scan.any():
            continue
        smooth = _smoothed(scan, _SMOOTHING_MM, grid)
        difference = smooth - _mirrored(_smoothed(scan, _MIRRORED_MM, grid), brain)
        found |= (smooth > least) & (difference > _ASYMMETRY)
        asymmetry = np.maximum(asymmetry, difference)
    flair = scans.get("FLAIR")
    if flair is not None and flair.any():
        found &= flair > _DARK
    return found & brain & ~_near_ventricles(scans, brain, grid), asymmetry * brain


def _smoothed(scan: NDArray[np.float32], sigma_mm: float, grid: Grid) -> NDArray[np.float32]:
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(grid.image(scan), sigma_mm))


def _mirrored(scan: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a scan mirrored at the middle of the brain along x, 0 where the mirror image does not reach."""
    columns = np.flatnonzero(brain.any(axis=(0, 1)))
    total = int(columns[0] + columns[-1])
    mirrored = np.zeros_like(scan)
    own = np.arange(max(0, total - scan.shape[2] + 1), min(scan.shape[2] - 1, total) + 1)
    mirrored[..., own] = scan[..., total - own]
    return mirrored


def _near_ventricles(
    scans: Mapping[str, NDArray[np.float32]], brain: NDArray[np.bool_], grid: Grid
) -> NDArray[np.bool_]:
    flair = scans.get("FLAIR")
    if flair is None or not flair.any():
        return np.zeros(brain.shape, bool)
    depth = -sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(grid.image(brain.astype(np.uint8)), squaredDistance=False, useImageSpacing=True)
    )
    fluid = grid.image(((flair < _DARK) & (depth > _DEEP_MM)).astype(np.uint8))
    fluid = sitk.BinaryMorphologicalOpening(fluid, [1, 1, 1])
    rim = sitk.BinaryDilate(fluid, [max(1, round(_RIM_MM / s)) for s in grid.spacing])
    return sitk.GetArrayFromImage(rim).astype(bool)
