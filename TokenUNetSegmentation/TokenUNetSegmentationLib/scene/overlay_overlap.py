"""Overlap of each overlay with the predicted regions: a description of the overlays, not an explanation."""

from collections.abc import Iterator

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from tokenunet.core.regions import REGIONS, RegionName

from TokenUNetSegmentationLib.scene.results import PatientResult


def overlap_steps(result: PatientResult, group: str) -> Iterator[dict[int, dict[RegionName, float]]]:
    """Compute the soft Dice of every overlay of a group with the current regions, in short steps.

    An overlay's absolute values are scaled so that its largest is 1; a region counts by its share of each of the
    overlay's voxels, which may be much larger than the scan's.

    Args:
        result: Patient.
        group: Name of the group.

    Yields:
        Soft Dice by number and region, complete at the last step.

    Raises:
        MissingNodeError: If the reference volume is gone.
    """
    table: dict[int, dict[RegionName, float]] = {number: {} for number in result.overlays(group)}
    for name in REGIONS:
        overlays = result.overlays(group)  # looked up again: the user may delete some between two steps
        if not overlays:
            return
        share = _share(result, name, next(iter(overlays.values())))
        yield table
        for number, node in overlays.items():
            values = np.abs(slicer.util.arrayFromVolume(node))
            if values.shape != share.shape:
                share = _share(result, name, node)
            table[number][name] = soft_dice(values / (values.max() or 1), share)
        yield table


def soft_dice(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return twice the sum of products over the sum of both; 0 if both are empty."""
    total = float(one.sum() + other.sum())
    return 2 * float((one * other).sum()) / total if total else 0.0


def _share(result: PatientResult, name: RegionName, overlay: slicer.vtkMRMLScalarVolumeNode) -> NDArray[np.float64]:
    """Return how much of each of the overlay's voxels is inside a region, (d, h, w)."""
    reference = result.require_reference()
    to_overlay = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(overlay, inverse=True)) @ slicer.util.arrayFromVTKMatrix(
        _ijk_to_ras(reference)
    )
    shape = slicer.util.arrayFromVolume(overlay).shape
    k, j, i = np.nonzero(result.region(name))
    at = np.rint(to_overlay[:3, :3] @ np.stack([i, j, k]) + to_overlay[:3, 3:]).astype(np.intp)[::-1]
    inside = ((at >= 0) & (at < np.array(shape)[:, None])).all(axis=0)
    counts = np.bincount(np.ravel_multi_index(tuple(at[:, inside]), shape), minlength=int(np.prod(shape)))
    ratio = np.prod(reference.GetSpacing()) / np.prod(overlay.GetSpacing())
    return (counts.reshape(shape) * ratio).clip(0, 1)


def _ijk_to_ras(volume: slicer.vtkMRMLVolumeNode, inverse: bool = False) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    if inverse:
        volume.GetRASToIJKMatrix(matrix)
    else:
        volume.GetIJKToRASMatrix(matrix)
    return matrix
