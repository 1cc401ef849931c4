"""Refinement of an alignment by all sequences that both time points have, inside the brain and outside the tumor.

One sequence alone may be misleading: its contrast and thick slices change between examinations, and so does the
outline that skull stripping leaves. Mutual information is averaged over the sequences and maximized near the start.
Each scan is first divided by its local mean, because bias fields that differ would look like tissue, and move the
optimum.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage, optimize

from tokenunet.core.grid import Grid
from tokenunet.preprocessing.register import BRAIN_RADIUS_MM

_SMOOTHING_MM = 1.0
"""Standard deviation of the smoothing, without which interpolation favors whole voxels."""
_BIAS_MM, _BIAS_SPACING_MM = 12.0, 4.0
"""Standard deviation of the smoothing for local means, and spacing at which they are computed."""
_DEPTH_MM, _OTHER_DEPTH_MM = 1.0, 0.5
"""Least depth below the brain's surface at the first and at the other time point."""
_TUMOR_MARGIN_MM = 4.0
_BINS = 32
_SAMPLES, _LEAST_SAMPLES = 24_000, 1_000
_REFERENCE_WEIGHT = 6.0
"""Weight of the reference, on whose grid the tumor is; the others were aligned to it, not quite exactly."""
_START_MM, _TOLERANCE_MM, _MOST_EVALUATIONS = 1.0, 0.03, 250
_FARTHEST_MM = 5.0
"""Largest move along or about an axis that is a refinement."""


@dataclass(frozen=True)
class Examination:
    """Scans of one time point for the alignment.

    Attributes:
        reference: Sequence on whose grid all are.
        scans: Scans by sequence, on one grid.
        brain: Brain on that grid, (D, H, W).
        tumor: Tumor on that grid, (D, H, W).
    """

    reference: str
    scans: Mapping[str, sitk.Image]
    brain: NDArray[np.bool_]
    tumor: NDArray[np.bool_]

    @property
    def grid(self) -> Grid:
        """Grid of all scans."""
        return Grid.of(self.scans[self.reference])

    def inside(self, depth_mm: float) -> NDArray[np.bool_]:
        """Return the voxels deeper in the brain than a number of mm, (D, H, W)."""
        return ndimage.distance_transform_edt(self.brain, sampling=self.grid.spacing[::-1]) > depth_mm

    def near_tumor(self) -> NDArray[np.bool_]:
        """Return the voxels of the tumor and of a margin around it, (D, H, W)."""
        outside = ndimage.distance_transform_edt(~self.tumor, sampling=self.grid.spacing[::-1])
        return outside <= _TUMOR_MARGIN_MM if self.tumor.any() else self.tumor

    def flattened(self, sequence: str) -> sitk.Image:
        """Return a scan divided by its local mean over healthy brain, which removes bias fields."""
        scan = sitk.Cast(self.scans[sequence], sitk.sitkFloat32)
        healthy = self.grid.image((self.brain & ~self.near_tumor()).astype(np.float32))
        coarse = self.grid.with_spacing((_BIAS_SPACING_MM,) * 3)
        total, share = (
            sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(coarse.resample(image), _BIAS_MM))
            for image in (scan * healthy, healthy)
        )
        local = coarse.image((total / np.maximum(share, 1e-3)).astype(np.float32))
        mean = sitk.GetArrayFromImage(self.grid.resample(local))
        least = max(1e-3 * float(mean[self.brain].mean()), 1e-6)
        return self.grid.image(sitk.GetArrayViewFromImage(scan) / np.maximum(mean, least))


def refine(start: sitk.Euler3DTransform, first: Examination, other: Examination) -> sitk.Euler3DTransform:
    """Return the alignment near another one at which several sequences agree best.

    Args:
        start: Transform from the first time point's space to the other's.
        first: First time point.
        other: Other time point.

    Returns:
        Refined transform; the start itself if the time points have fewer than two sequences in common.
    """
    common = [name for name in first.scans if name in other.scans]
    if len(common) < 2:
        return start
    points = _sampled(first.inside(_DEPTH_MM) & ~first.near_tumor())
    usable = other.inside(_OTHER_DEPTH_MM) & ~other.tumor
    if len(points) < _LEAST_SAMPLES or not usable.any():
        return start
    pairs = [_Pair(first.flattened(name), other.flattened(name), points, usable) for name in common]
    weights = [_REFERENCE_WEIGHT if name == first.reference else 1.0 for name in common]
    lps = _transformed(first.grid.index_to_lps, points[:, ::-1])
    lps_to_index = np.linalg.inv(other.grid.index_to_lps)
    scales = np.array([1 / BRAIN_RADIUS_MM] * 3 + [1.0] * 3)
    transform = sitk.Euler3DTransform(start)
    center = np.array(start.GetCenter())

    def moved(moves_mm: NDArray[np.float64]) -> sitk.Euler3DTransform:
        transform.SetParameters((start.GetParameters() + moves_mm * scales).tolist())
        return transform

    def disagreement(moves_mm: NDArray[np.float64]) -> float:
        if np.abs(moves_mm).max() > _FARTHEST_MM:
            return 0.0
        pose = moved(moves_mm)
        turn = np.reshape(pose.GetMatrix(), (3, 3))
        there = (lps - center) @ turn.T + center + pose.GetTranslation()
        indices = _transformed(lps_to_index, there)[:, ::-1].T
        inside = ndimage.map_coordinates(usable.view(np.uint8), indices, order=0) > 0
        if np.count_nonzero(inside) < _LEAST_SAMPLES:
            return 0.0
        information = (pair.information(indices[:, inside], inside) for pair in pairs)
        return -sum(weight * value for weight, value in zip(weights, information, strict=True))

    simplex = np.vstack([np.zeros(6), _START_MM * np.eye(6)])
    limits = {"xatol": _TOLERANCE_MM, "fatol": 1e-5, "maxfev": _MOST_EVALUATIONS, "initial_simplex": simplex}
    return moved(optimize.minimize(disagreement, np.zeros(6), method="Nelder-Mead", options=limits).x)


class _Pair:
    """One sequence at both time points.

    Args:
        first: Scan of the first time point.
        other: Scan of the other one.
        points: Voxels (z, y, x) of the first that are compared, (N, 3).
        usable: Voxels of the other that are compared, (D, H, W).
    """

    def __init__(
        self, first: sitk.Image, other: sitk.Image, points: NDArray[np.int64], usable: NDArray[np.bool_]
    ) -> None:
        values = _smoothed(first)[tuple(points.T)]
        self._bins = _scaled(values, values).astype(int)
        other_values = _smoothed(other)
        self._other = _scaled(other_values, other_values[usable])

    def information(self, indices: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
        """Return the mutual information.

        Args:
            indices: Places (z, y, x) in the other scan, (3, N).
            inside: Points of the first scan that they belong to.
        """
        values = ndimage.map_coordinates(self._other, indices, order=1, mode="nearest")
        bins = values.astype(int)
        upper = values - bins
        row = self._bins[inside] * _BINS + bins
        counts = np.bincount(row, 1 - upper, _BINS**2) + np.bincount(row + 1, upper, _BINS**2)
        joint = counts.reshape(_BINS, _BINS) / len(values)
        independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        there = joint > 0
        return float((joint[there] * np.log(joint[there] / independent[there])).sum())


def _sampled(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return some voxels (z, y, x) of a mask, always the same, (N, 3)."""
    voxels = np.argwhere(mask)
    if len(voxels) <= _SAMPLES:
        return voxels
    return voxels[np.sort(np.random.default_rng(0).choice(len(voxels), _SAMPLES, replace=False))]


def _smoothed(scan: sitk.Image) -> NDArray[np.float32]:
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(scan, sitk.sitkFloat32), _SMOOTHING_MM)
    return sitk.GetArrayFromImage(smooth)


def _scaled(values: NDArray[np.float32], typical: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values in bins, from 0 to less than `_BINS` - 1."""
    low, high = np.percentile(typical, (0.5, 99.5))
    return np.clip((values - low) / max(float(high - low), 1e-6), 0, 1) * (_BINS - 1.001)


def _transformed(affine: NDArray, points: NDArray) -> NDArray:
    """Return points (N, 3) after an affine transform (4, 4)."""
    return points @ affine[:3, :3].T + affine[:3, 3]
