"""Lesions matched over time: which are new, gone, larger or smaller, merged or split."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
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
class MatchedLesions:
    """Lesions matched over time.

    Attributes:
        lesions: Lesions, the largest first.
        numbers: Number of the lesion at each voxel of the extents at each time point, from 1; 0 for none, (T, D, H, W).
    """

    lesions: tuple[Lesion, ...]
    numbers: NDArray[np.int32]


def match_lesions(
    lesions: Sequence[NDArray[np.bool_]], extents: Sequence[NDArray[np.bool_]], grid: Grid
) -> MatchedLesions:
    """Match the lesions of all time points by their overlap in space.

    Lesions are distinguished by their extents: an enhancing rim that shrinks need not overlap its former self, but what
    it encloses does.

    Args:
        lesions: Voxels whose volume counts, at each time point, (D, H, W), all on `grid`.
        extents: Extents of the lesions at each time point, (D, H, W), such as tumor cores of enhancing tumors.
        grid: Grid of all masks.

    Example:
        >>> grid = Grid((20, 20, 20), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> before, after = np.zeros((2, 20, 20, 20), bool)
        >>> before[2:9, 2:9, 2:9] = after[2:8, 2:8, 2:8] = after[14:, 14:, 14:] = True
        >>> [lesion.volumes_ml for lesion in match_lesions([before, after], [before, after], grid).lesions]
        [(0.343, 0.216), (0.0, 0.216)]
    """
    box = _bounding_box(np.logical_or.reduce(extents))
    inside = [lesion[box] for lesion in lesions]
    parts = [_numbered(lesion, extent[box], grid) for lesion, extent in zip(inside, extents, strict=True)]
    group = {part: {part} for part in ((t, int(n)) for t, own in enumerate(parts) for n in np.unique(own) if n)}
    for one, other in combinations(range(len(parts)), 2):
        for a, b in _overlapping(parts[one], parts[other]):
            joined = group[one, a] | group[other, b]
            group |= dict.fromkeys(joined, joined)
    groups = {min(members): members for members in group.values()}.values()
    offset = [edge.start for edge in box]
    found = sorted(
        ((_lesion(members, parts, inside, offset, grid), members) for members in groups),
        key=lambda pair: max(pair[0].volumes_ml),
        reverse=True,
    )
    numbers = np.zeros((len(lesions), *lesions[0].shape), np.int32)
    for number, (_, members) in enumerate(found, start=1):
        for time, part in members:
            numbers[time][box][parts[time] == part] = number
    return MatchedLesions(tuple(lesion for lesion, _ in found), numbers)


def _lesion(
    members: set[tuple[int, int]],
    parts: Sequence[NDArray[np.int32]],
    lesions: Sequence[NDArray[np.bool_]],
    offset: Sequence[int],
    grid: Grid,
) -> Lesion:
    own = [[part for time, part in members if time == t] for t in range(len(parts))]
    masks = [np.isin(p, o) & lesion for p, o, lesion in zip(parts, own, lesions, strict=True)]
    middle = np.concatenate([np.argwhere(mask) for mask in masks]).mean(axis=0) + offset
    x, y, z = (round(float(c), 1) for c in (grid.index_to_lps @ np.append(middle[::-1], 1))[:3])
    volumes = tuple(round(float(mask.sum()) * grid.voxel_ml, 3) for mask in masks)
    return Lesion(volumes, tuple(map(len, own)), (x, y, z))


def _numbered(lesion: NDArray[np.bool_], extent: NDArray[np.bool_], grid: Grid) -> NDArray[np.int32]:
    """Return the number of the lesion at each voxel of the extents, 0 for none and for too small ones."""
    outside = ndimage.distance_transform_edt(~extent, sampling=grid.spacing[::-1]) if extent.any() else np.inf
    numbers, count = ndimage.label(np.broadcast_to(outside <= _GAP_MM / 2, extent.shape), np.ones((3, 3, 3)))
    numbers = np.where(extent, numbers, 0).astype(np.int32)
    sizes = np.bincount(numbers[lesion & extent], minlength=count + 1) * grid.voxel_ml
    return np.where(sizes[numbers] >= LEAST_ML, numbers, 0)


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
