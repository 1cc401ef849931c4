"""Search for skull-stripped scans that share the reference's grid but show the brain in another place.

Small moves of each scan are rated by mutual information on coarse voxels, without interpolation, which takes
milliseconds; `tokenunet.preprocessing.register` then measures the motion of the scans found here.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.sequences import SequenceName

_COARSE_MM = 4.0
"""Spacing that scans are averaged to."""
_SAMPLES = 20_000
"""Approximate number of voxels that are compared."""
_BINS = 32
"""Bins of the joint histogram, per scan."""
_BRIGHTEST_PERCENTILE = 99.9
"""Percentile of the intensities from which on they share the last bin."""
_MOVES_MM = (4.0, 8.0)
"""Lengths of the moves."""
_BRAIN_RADIUS_MM = 60.0
"""Typical distance of a voxel from the center of rotation, which relates rotations (radians) to shifts (mm)."""
_BETTER = 1.03
"""Ratio of mutual information after a move to that before it from which on a scan may be out of place.

Scans of 14 patients that were aligned before they were stripped stay below 0.99; a scan that is found
in vain costs a registration, but gets no warning.
"""
_LEAST_INFORMATION = 0.01
"""Smallest mutual information (nats) that tells one place from another; a constant scan has none."""

Indices = NDArray[np.intp]


def scans_out_of_place(reference: sitk.Image, scans: Mapping[SequenceName, sitk.Image]) -> list[SequenceName]:
    """Return the scans that fit the reference better after a small move than where their headers put them.

    Args:
        reference: Skull-stripped scan.
        scans: Scans on the same grid, by sequence.
    """
    coarse = _coarsened(reference)
    fixed = _bins(coarse)
    samples = np.arange(0, fixed.size, max(1, fixed.size // _SAMPLES))
    moves = [(samples, samples), *_moves(fixed, samples, np.array(coarse.GetSpacing()[::-1]))]
    found = []
    for sequence, scan in scans.items():
        moving = _bins(_coarsened(scan)).ravel()
        here, *moved = (_mutual_information(fixed.ravel()[at], moving[to]) for at, to in moves)
        if max(moved) > max(_BETTER * here, _LEAST_INFORMATION):
            found.append(sequence)
    return found


def _coarsened(image: sitk.Image) -> sitk.Image:
    """Return the image averaged to about `_COARSE_MM`."""
    return sitk.BinShrink(image, [max(1, round(_COARSE_MM / s)) for s in image.GetSpacing()])


def _bins(image: sitk.Image) -> NDArray[np.uint8]:
    """Return the bin of each voxel's intensity, (D, H, W)."""
    array = sitk.GetArrayViewFromImage(image)
    low, high = float(array.min()), float(np.percentile(array, _BRIGHTEST_PERCENTILE))
    return np.clip((array - low) * (_BINS / max(high - low, 1e-6)), 0, _BINS - 1).astype(np.uint8)


def _moves(
    fixed: NDArray[np.uint8], samples: Indices, spacing: NDArray[np.float64]
) -> Iterator[tuple[Indices, Indices]]:
    """Yield shifts along and rotations about each axis: voxels of the reference, and those of the scan moved there.

    Args:
        fixed: Reference, (D, H, W).
        samples: Flat indices of the voxels to compare.
        spacing: Voxel size along D, H and W in mm.
    """
    shape = np.array(fixed.shape)[:, None]
    index = np.array(np.unravel_index(samples, fixed.shape))
    center = np.array([np.mean(axis) for axis in np.nonzero(fixed)])[:, None]
    points = (index - center) * spacing[:, None]
    for length, axis, sign in product(_MOVES_MM, range(3), (-1, 1)):
        shifted = index.copy()
        shifted[axis] += sign * max(1, round(length / spacing[axis]))
        angle = sign * length / _BRAIN_RADIUS_MM
        first, second = (axis + 1) % 3, (axis + 2) % 3
        rotated = points.copy()
        rotated[first] = math.cos(angle) * points[first] - math.sin(angle) * points[second]
        rotated[second] = math.sin(angle) * points[first] + math.cos(angle) * points[second]
        for moved in (shifted, np.rint(rotated / spacing[:, None] + center).astype(np.intp)):
            inside = ((moved >= 0) & (moved < shape)).all(0)
            yield samples[inside], np.ravel_multi_index(tuple(moved[:, inside]), fixed.shape)


def _mutual_information(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the mutual information of two lists of bins."""
    joint = np.bincount(first.astype(np.intp) * _BINS + second, minlength=_BINS**2).reshape(_BINS, _BINS)
    share = joint / max(1, len(first))
    independent = np.outer(share.sum(1), share.sum(0))
    present = share > 0
    return float((share[present] * np.log(share[present] / independent[present])).sum())
