"""How much each mask overlaps the predicted regions: a description of the masks, not an explanation."""

from collections.abc import Iterator

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from tokenunet.core.regions import REGIONS, RegionName

from TokenUNetSegmentationLib.scene.attention_maps import MaskKind
from TokenUNetSegmentationLib.scene.results import PatientResult


def overlap_steps(result: PatientResult, kind: MaskKind) -> Iterator[dict[int, dict[RegionName, float]]]:
    """Soft Dice of every mask of a kind with the regions as they are now, by number and region; whole at the end.

    A mask's absolute values are scaled so that its largest is 1; a region counts by its share of each of the mask's
    voxels, which are much larger than the scan's.

    Raises:
        MissingNodeError: where the reference volume is gone.
    """
    table: dict[int, dict[RegionName, float]] = {number: {} for number in result.masks(kind)}
    for name in REGIONS:
        masks = result.masks(kind)  # looked up anew: the user may delete some between two steps
        if not masks:
            return
        share = _share(result, name, next(iter(masks.values())))
        yield table
        for number, mask in masks.items():
            values = np.abs(slicer.util.arrayFromVolume(mask))
            table[number][name] = soft_dice(values / (values.max() or 1), share)
        yield table


def soft_dice(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Twice the sum of products over the sum of both; 0 where both are empty."""
    total = float(one.sum() + other.sum())
    return 2 * float((one * other).sum()) / total if total else 0.0


def _share(result: PatientResult, name: RegionName, mask: slicer.vtkMRMLScalarVolumeNode) -> NDArray[np.float64]:
    """(d, h, w): how much of each of the mask's voxels lies in a region."""
    reference = result.require_reference()
    to_mask = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(mask, inverse=True)) @ slicer.util.arrayFromVTKMatrix(
        _ijk_to_ras(reference)
    )
    shape = slicer.util.arrayFromVolume(mask).shape
    k, j, i = np.nonzero(result.region(name))
    at = np.rint(to_mask[:3, :3] @ np.stack([i, j, k]) + to_mask[:3, 3:]).astype(np.intp)[::-1]
    inside = ((at >= 0) & (at < np.array(shape)[:, None])).all(axis=0)
    counts = np.bincount(np.ravel_multi_index(tuple(at[:, inside]), shape), minlength=int(np.prod(shape)))
    smaller = np.prod(reference.GetSpacing()) / np.prod(mask.GetSpacing())
    return (counts.reshape(shape) * smaller).clip(0, 1)


def _ijk_to_ras(volume: slicer.vtkMRMLVolumeNode, inverse: bool = False) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    if inverse:
        volume.GetRASToIJKMatrix(matrix)
    else:
        volume.GetIJKToRASMatrix(matrix)
    return matrix
