"""How much each mask overlaps the predicted regions: a description of the masks, not an explanation."""

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from tokenunet.regions import REGIONS, RegionName

from TokenUNetSegmentationLib.masks import MaskKind
from TokenUNetSegmentationLib.results import PatientResult


def overlaps(result: PatientResult, kind: MaskKind) -> dict[int, dict[RegionName, float]]:
    """Soft Dice of every mask of a kind with the regions as they are now, by number and region.

    A mask's absolute values are scaled so that its largest is 1; a region counts by its share of each of the mask's
    voxels, which are much larger than the scan's.

    Raises:
        LookupError: where the reference volume is gone.
    """
    masks = result.masks(kind)
    if not masks:
        return {}
    first = next(iter(masks.values()))
    shares = _shares(result, first)
    table: dict[int, dict[RegionName, float]] = {}
    for number, mask in masks.items():
        values = np.abs(slicer.util.arrayFromVolume(mask))
        table[number] = {
            name: soft_dice(values / (values.max() or 1), share) for name, share in zip(REGIONS, shares, strict=True)
        }
    return table


def soft_dice(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Twice the sum of products over the sum of both; 0 where both are empty."""
    total = float(one.sum() + other.sum())
    return 2 * float((one * other).sum()) / total if total else 0.0


def _shares(result: PatientResult, mask: slicer.vtkMRMLScalarVolumeNode) -> NDArray[np.float64]:
    """(3, d, h, w): how much of each of the mask's voxels lies in each region."""
    reference = result.require_reference()
    to_mask = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(mask, inverse=True)) @ slicer.util.arrayFromVTKMatrix(
        _ijk_to_ras(reference)
    )
    shape = slicer.util.arrayFromVolume(mask).shape
    smaller = np.prod(reference.GetSpacing()) / np.prod(mask.GetSpacing())
    shares = np.zeros((len(REGIONS), *shape))
    for share, region in zip(shares, result.regions(), strict=True):
        k, j, i = np.nonzero(region)
        at = np.rint(to_mask[:3, :3] @ np.stack([i, j, k]) + to_mask[:3, 3:]).astype(int)[::-1]
        inside = ((at >= 0) & (at < np.array(shape)[:, None])).all(axis=0)
        np.add.at(share, tuple(at[:, inside]), smaller)
    return shares.clip(0, 1)


def _ijk_to_ras(volume: slicer.vtkMRMLVolumeNode, inverse: bool = False) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    if inverse:
        volume.GetRASToIJKMatrix(matrix)
    else:
        volume.GetIJKToRASMatrix(matrix)
    return matrix
