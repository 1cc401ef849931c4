"""Lesions matched over time: which are new, gone, larger or smaller, merged or split."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from tokenunet.core.grid import Grid

LEAST_ML = 0.1
"""Smallest volume of a lesion; a diameter of 6 mm."""
_GAP_MM = 4.0
"""Parts that are closer to each other are one lesion."""
_LEAST_OVERLAP = 0.1
"""Share of the smaller of two lesions of different time points from which on they are the same."""


@dataclass(frozen=True)
class Lesion:
    """One lesion over time.

    Attributes:
        volumes_ml: Volume at each time point, in ml; 0 where it is absent.
        parts: Number of separate parts at each time point: more than one before it merged, or after it split.
        center_lps_mm: Center of mass over all time points, in LPS mm.
    """

    volumes_ml: tuple[float, ...]
    parts: tuple[int, ...]
    center_lps_mm: tuple[float, float, float]


@dataclass(frozen=True)
class LesionMasks:
    """Lesions of one time point.

    Lesions are distinguished by their extents: an enhancing rim that shrinks need not overlap its former self, but what
    it encloses does.

    Attributes:
        voxels: Voxels whose volume counts, (D, H, W).
        extents: Extents of the lesions, (D, H, W), such as tumor cores of enhancing tumors.
        grid: Grid of both.
        transform: Transform from the first time point's space to that of `grid`; None for the first.
    """

    voxels: NDArray[np.bool_]
    extents: NDArray[np.bool_]
    grid: Grid
    transform: sitk.Transform | None = None


@dataclass(frozen=True)
class MatchedLesions:
    """Lesions matched over time.

    Attributes:
        lesions: Lesions, the largest first.
        numbers: Number of the lesion at each voxel of the extents at each time point, from 1; 0 for none. On the grid
            of the first time point, (T, D, H, W).
    """

    lesions: tuple[Lesion, ...]
    numbers: NDArray[np.int32]


def match_lesions(times: Sequence[LesionMasks]) -> MatchedLesions:
    """Match the lesions of all time points by their overlap in the first one's space.

    Volumes are those on each time point's own grid.

    Args:
        times: Lesions of each time point.

    Example:
        >>> grid = Grid((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> before, after = np.zeros((2, 20, 20, 20), bool)
        >>> before[2:9, 2:9, 2:9] = after[2:8, 2:8, 2:8] = after[14:, 14:, 14:] = True
        >>> matched = match_lesions([LesionMasks(mask, mask, grid) for mask in (before, after)])
        >>> [lesion.volumes_ml for lesion in matched.lesions]
        [(0.343, 0.216), (0.0, 0.216)]
    """
    parts = [_numbered(masks) for masks in times]
    volumes = [
        np.bincount(numbers[masks.voxels], minlength=int(numbers.max()) + 1) * masks.grid.voxel_ml
        for numbers, masks in zip(parts, times, strict=True)
    ]
    first = times[0].grid
    aligned = [_on_first(numbers, masks, first) for numbers, masks in zip(parts, times, strict=True)]
    group = {part: {part} for part in ((t, int(n)) for t, own in enumerate(parts) for n in np.unique(own) if n)}
    for one, other in combinations(range(len(times)), 2):
        for a, b in _overlapping(aligned[one], aligned[other]):
            joined = group[one, a] | group[other, b]
            group |= dict.fromkeys(joined, joined)
    lesions = []
    for members in {min(members): members for members in group.values()}.values():
        own = [[part for time, part in members if time == t] for t in range(len(times))]
        ml = tuple(round(float(by_part[mine].sum()), 3) for by_part, mine in zip(volumes, own, strict=True))
        lesions.append((ml, own))
    lesions.sort(key=lambda lesion: max(lesion[0]), reverse=True)
    numbers = np.zeros((len(times), *first.size[::-1]), np.int32)
    found = []
    for number, (ml, own) in enumerate(lesions, start=1):
        for time, mine in enumerate(own):
            numbers[time][np.isin(aligned[time], mine)] = number
        found.append(Lesion(ml, tuple(map(len, own)), _center(numbers == number, first)))
    return MatchedLesions(tuple(found), numbers)


def _numbered(masks: LesionMasks) -> NDArray[np.int32]:
    """Return the number of the lesion at each voxel of the extents, 0 for none and for too small ones."""
    box = _bounding_box(masks.extents)
    extents = masks.extents[box]
    outside = ndimage.distance_transform_edt(~extents, sampling=masks.grid.spacing[::-1]) if extents.any() else np.inf
    labels, count = ndimage.label(np.broadcast_to(outside <= _GAP_MM / 2, extents.shape), np.ones((3, 3, 3)))
    labels = np.where(extents, labels, 0).astype(np.int32)
    sizes = np.bincount(labels[masks.voxels[box]], minlength=count + 1) * masks.grid.voxel_ml
    numbers = np.zeros(masks.extents.shape, np.int32)
    numbers[box] = np.where(sizes[labels] >= LEAST_ML, labels, 0)
    return numbers


def _on_first(numbers: NDArray[np.int32], masks: LesionMasks, first: Grid) -> NDArray[np.int32]:
    """Return the numbers of lesions on the first time point's grid."""
    if masks.transform is None and masks.grid == first:
        return numbers
    image = first.resample(masks.grid.image(numbers), sitk.sitkNearestNeighbor, masks.transform)
    return sitk.GetArrayFromImage(image)


def _center(lesion: NDArray[np.bool_], grid: Grid) -> tuple[float, float, float]:
    """Return the center of mass of a lesion (T, D, H, W) over all time points, in LPS mm."""
    weights = lesion.sum(axis=0)
    middle = np.average(np.argwhere(weights), axis=0, weights=weights[weights > 0])
    x, y, z = (round(float(c), 1) for c in (grid.index_to_lps @ np.append(middle[::-1], 1))[:3])
    return x, y, z


def _overlapping(one: NDArray[np.int32], other: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return the numbers of the lesions of two time points that are the same."""
    sizes = np.bincount(one.ravel()), np.bincount(other.ravel())
    both = (one > 0) & (other > 0)
    pairs, counts = np.unique(np.stack([one[both], other[both]]), axis=1, return_counts=True)
    return [
        (int(a), int(b))
        for (a, b), count in zip(pairs.T, counts, strict=True)
        if count >= _LEAST_OVERLAP * min(sizes[0][a], sizes[1][b])
    ]


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the box around a mask, with a margin for gaps; one voxel if the mask is empty."""
    box = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, inside[0] - 4), inside[-1] + 5) if len(inside) else slice(0, 1))
    return tuple(box)
