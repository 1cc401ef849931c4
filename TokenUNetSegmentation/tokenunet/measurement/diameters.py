"""Bidimensional diameters of lesions, as RANO 2.0 measures them.

RANO 2.0 (Wen et al., Journal of Clinical Oncology 41(33), 2023) takes, for every lesion, the longest diameter and the
longest one perpendicular to it, both in the same axial slice, and calls a lesion measurable if both are at least 10 mm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid

MEASURABLE_MM = 10.0
"""RANO 2.0: smallest diameter of a measurable lesion."""
_SMALLEST_ML = 0.05
"""Single voxels at the border of another lesion are none of their own."""

Point = NDArray[np.float64]
_EDGES = 0.5 * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
"""Middles of a pixel's edges: on average, an outline through them has neither more nor less than the pixels' area."""
_STRAIGHT_MM2 = 1e-9
"""Cross product of two edges up to which they are on one line."""


@dataclass(frozen=True)
class Diameter:
    """Line between two points of a lesion's outline.

    Attributes:
        start: Position in LPS mm.
        end: Position in LPS mm.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]

    @property
    def length_mm(self) -> float:
        """Length in mm."""
        return float(np.linalg.norm(np.subtract(self.start, self.end)))


@dataclass(frozen=True)
class LesionDiameters:
    """Longest diameter of a lesion in an axial slice, and the longest perpendicular one there.

    Attributes:
        longest: Longest diameter.
        perpendicular: Longest diameter perpendicular to it.
        volume_ml: Volume of the lesion in milliliters.
    """

    longest: Diameter
    perpendicular: Diameter
    volume_ml: float

    @property
    def product_mm2(self) -> float:
        """Product of both lengths in mm²."""
        return self.longest.length_mm * self.perpendicular.length_mm

    @property
    def is_measurable(self) -> bool:
        """Whether both diameters are at least `MEASURABLE_MM`."""
        return min(self.longest.length_mm, self.perpendicular.length_mm) >= MEASURABLE_MM

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the run report: lengths in mm, ends of both lines in LPS mm."""
        return {
            "longest_mm": round(self.longest.length_mm, 2),
            "perpendicular_mm": round(self.perpendicular.length_mm, 2),
            "measurable": self.is_measurable,
            "volume_ml": round(self.volume_ml, 3),
            "lines_lps_mm": [
                [[round(x, 3) for x in point] for point in (line.start, line.end)]
                for line in (self.longest, self.perpendicular)
            ],
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "LesionDiameters":
        """Return the lesion of an entry that `to_json` made."""
        longest, perpendicular = (Diameter(*map(tuple, line)) for line in entry["lines_lps_mm"])
        return cls(longest, perpendicular, entry["volume_ml"])


def lesion_diameters(mask: NDArray[np.bool_], grid: Grid) -> list[LesionDiameters]:
    """Measure every connected lesion of a mask in the axial slice in which the product of its diameters is largest.

    Diameters are those of the convex hull: what a rim encloses counts. Slices are those of the grid's axis that is
    closest to the patient's axis from foot to head.

    Args:
        mask: Lesions, (D, H, W).
        grid: Grid of the mask.

    Returns:
        Diameters by lesion, that with the largest product first.

    Example:
        >>> import numpy as np
        >>> from tokenunet.core.grid import Grid
        >>> mask = np.zeros((5, 40, 40), bool)
        >>> mask[2, 10:20, 5:35] = True
        >>> grid = Grid((40, 40, 5), (1, 1, 5), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> [round(lesion.longest.length_mm) for lesion in lesion_diameters(mask, grid)]
        [31]
    """
    corner, box = _bounding_box(mask)
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(mask[box].astype(np.uint8)), True)
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(parts)
    numbers = sitk.GetArrayViewFromImage(parts)
    lesions = []
    for number in shapes.GetLabels():
        volume = shapes.GetNumberOfPixels(number) * grid.voxel_ml
        if volume < _SMALLEST_ML:
            continue
        x, y, z, *extent = shapes.GetBoundingBox(number)
        box = tuple(slice(start, start + size) for start, size in zip((z, y, x), reversed(extent), strict=True))
        pairs = _slice_diameters(numbers[box] == number, np.array((x, y, z)) + corner, grid)
        longest, perpendicular = max(pairs, key=lambda pair: pair[0].length_mm * pair[1].length_mm)
        lesions.append(LesionDiameters(longest, perpendicular, volume))
    return sorted(lesions, key=lambda lesion: lesion.product_mm2, reverse=True)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int_], tuple[slice, ...]]:
    """Return the first voxel (x, y, z) of the part of a mask that is not empty, and the slices of that part."""
    sides = [np.flatnonzero(mask.any(others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(side[0]), int(side[-1]) + 1) if side.size else slice(0, 1) for side in sides)
    return np.array([side.start for side in reversed(box)]), box


def _slice_diameters(
    lesion: NDArray[np.bool_], offset: NDArray[np.int_], grid: Grid
) -> Iterator[tuple[Diameter, Diameter]]:
    """Yield the longest and the longest perpendicular diameter of every axial slice of a lesion."""
    direction = np.reshape(grid.direction, (3, 3))
    axial = int(np.abs(direction[2]).argmax())  # axis, of x, y and z, whose patient direction is foot to head
    in_plane = [axis for axis in range(3) if axis != axial]
    spacing = np.array(grid.spacing)[in_plane]
    to_lps = grid.index_to_lps
    for position in np.unique(np.nonzero(lesion)[2 - axial]):
        pixels = np.argwhere(lesion.take(position, axis=2 - axial))[:, ::-1]  # in the order of `in_plane`
        _, firsts = np.unique(pixels[:, 1], return_index=True)
        ends = pixels[np.union1d(firsts, np.append(firsts[1:], len(pixels)) - 1)]  # of rows; the hull is theirs
        points = (ends[:, None] + _EDGES).reshape(-1, 2) * spacing
        hull = _convex_hull(points)
        diameters = []
        for line in _hull_diameters(hull):
            index = np.full((2, 3), float(position))
            index[:, in_plane] = line / spacing
            lps = (index + offset) @ to_lps[:3, :3].T + to_lps[:3, 3]
            diameters.append(Diameter(*map(tuple, lps.tolist())))
        yield diameters[0], diameters[1]


def _convex_hull(points: Point) -> Point:
    """Return the corners of the convex hull in order, (M, 2).

    SciPy has this, too, but importing it takes longer than all measurements of a patient.

    Args:
        points: Points in a plane that are not all on one line, (N, 2).
    """
    points = np.unique(points, axis=0)
    first, last = points[0], points[-1]
    height = (last[0] - first[0]) * (points[:, 1] - first[1]) - (last[1] - first[1]) * (points[:, 0] - first[0])
    below, above = points[height <= 0], points[height >= 0][::-1]
    return np.concatenate([_convex_chain(below)[:-1], _convex_chain(above)[:-1]])


def _convex_chain(points: Point) -> Point:
    """Return the points of an ordered chain that turns left at each of them, (M, 2).

    Args:
        points: Points (N, 2) right of the line from the first to the last, ordered along one axis.
    """
    while True:
        back, ahead = points[1:-1] - points[:-2], points[2:] - points[1:-1]
        turns = np.concatenate([[True], back[:, 0] * ahead[:, 1] - back[:, 1] * ahead[:, 0] > _STRAIGHT_MM2, [True]])
        if turns.all():
            return points
        points = points[turns]


def _hull_diameters(hull: Point) -> tuple[Point, Point]:
    """Return the ends (2, 2) of a convex polygon's longest diameter, and those of the longest perpendicular one.

    Args:
        hull: Corners in order, (N, 2).
    """
    distances = np.linalg.norm(hull[:, None] - hull, axis=-1)
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    longest = hull[[first, second]]
    along = (longest[1] - longest[0]) / np.linalg.norm(longest[1] - longest[0])
    axes = np.array((along, (-along[1], along[0])))
    # From corner to corner of the longest diameter, either side of a convex polygon is a function of the position
    # along it, linear between corners: the longest chord across goes through a corner.
    u, v = axes @ hull.T
    sides = [np.sort_complex(u[side] + 1j * v[side]) for side in _sides(len(hull), int(first), int(second))]
    height = [np.interp(u, side.real, side.imag) for side in sides]
    widest = np.abs(height[0] - height[1]).argmax()
    across = np.array([(u[widest], height[0][widest]), (u[widest], height[1][widest])])
    return longest, across @ axes


def _sides(corners: int, first: int, second: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the numbers of a polygon's corners on either side of two of them, with both."""
    low, high = sorted((first, second))
    return np.arange(low, high + 1), np.arange(high, low + corners + 1) % corners
