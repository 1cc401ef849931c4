"""Side of a tumor, midline shift and distance to the ventricles, measured from the brain's midplane.

The midplane is the plane of best mirror symmetry of the brain outside of the tumor. The ventricles are the largest
region of fluid deep in the brain: the intensities of a scan, sorted into three classes, show fluid as the darkest one,
or the brightest in T2. The shift is the distance of the ventricles' center from the midplane; it is a simple measure
that also grows when only one ventricle is compressed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize

from tokenunet.core.grid import Grid

Fluid = Literal["dark", "bright"]
Side = Literal["left", "right"]
_SPACING_MM = (4.0, 4.0, 4.0)
_SMOOTHING_MM = 3.0
_DEPTH_MM = 15.0
"""Smallest distance of ventricles from the brain's surface."""
_FROM_MIDPLANE_MM = 35.0
_LEAST_ML = 1.0
"""Volume of fluid from which on it is taken for ventricles."""
_ONE_SIDED = 0.95
"""Share of the tumor from which on it is called one-sided."""

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Midplane:
    """Midplane of a brain.

    Attributes:
        point: Point on it, in LPS mm.
        normal: Unit vector toward the patient's left.
    """

    point: Points
    normal: Points

    def distance_mm(self, points: Points) -> Points:
        """Return the distances (N,) of points (N, 3), positive at the patient's left."""
        return (points - self.point) @ self.normal


@dataclass(frozen=True)
class Location:
    """Where a tumor is.

    Attributes:
        left_share: Share of its volume at the patient's left, 0 to 1.
        across_mm: How far it extends over the midplane into the side with less of it.
        shift_mm: Distance of the ventricles' center from the midplane, positive to the left; None if none were found.
        ventricle_mm: Distance of each region from the ventricles, 0 if they touch; empty if none were found.
    """

    left_share: float
    across_mm: float
    shift_mm: float | None
    ventricle_mm: dict[str, float]

    @property
    def side(self) -> str:
        """Side of the tumor in a word."""
        if max(self.left_share, 1 - self.left_share) >= _ONE_SIDED:
            return "left" if self.left_share > 0.5 else "right"
        return "both, mostly left" if self.left_share > 0.5 else "both, mostly right"

    def to_json(self) -> dict[str, Any]:
        """Return the values rounded, for a run report."""
        return {
            "side": self.side,
            "left_share": round(self.left_share, 3),
            "across_mm": round(self.across_mm, 1),
            "shift_mm": None if self.shift_mm is None else round(self.shift_mm, 1),
            "ventricle_mm": {name: round(mm, 1) for name, mm in self.ventricle_mm.items()},
        }


def locate(
    scan: NDArray[np.float32],
    brain: NDArray[np.bool_],
    regions: Mapping[str, NDArray[np.bool_]],
    grid: Grid,
    fluid: Fluid | None,
) -> Location | None:
    """Measure where a tumor is; None if there is none.

    Args:
        scan: Scan (z, y, x) with the brain's intensities.
        brain: Mask of the brain.
        regions: Masks of the tumor's regions by name, the outermost first.
        grid: Grid of all.
        fluid: Brightness of fluid in the scan; None does not look for ventricles.
    """
    whole = next(iter(regions.values()))
    if not whole.any():
        return None
    plane = find_midplane(scan, brain, whole, grid)
    distance = plane.distance_mm(_positions(whole, grid))
    left = float((distance > 0).mean())
    across = -float(distance.min()) if left > 0.5 else float(distance.max())
    ventricles = None if fluid is None else find_ventricles(scan, brain, whole, grid, plane, fluid)
    if ventricles is None:
        return Location(left, max(across, 0.0), None, {})
    away = sitk.SignedMaurerDistanceMap(
        grid.image(ventricles.astype(np.uint8)), squaredDistance=False, useImageSpacing=True, insideIsPositive=False
    )
    away_mm = sitk.GetArrayViewFromImage(away)
    touching = float(np.linalg.norm(grid.spacing))
    voxel = min(grid.spacing)  # distances are those of centers
    nearest = {name: float(away_mm[mask].min()) for name, mask in regions.items() if mask.any()}
    gaps = {name: 0.0 if mm <= touching else mm - voxel for name, mm in nearest.items()}
    shift = float(plane.distance_mm(_positions(ventricles, grid)).mean())
    return Location(left, max(across, 0.0), shift, gaps)


def find_midplane(
    scan: NDArray[np.float32], brain: NDArray[np.bool_], tumor: NDArray[np.bool_], grid: Grid
) -> Midplane:
    """Return the plane in which the brain outside of the tumor mirrors itself best.

    Args:
        scan: Scan, (z, y, x).
        brain: Mask of the brain.
        tumor: Mask of the tumor, which is not compared with its mirror image.
        grid: Grid of all.
    """
    low, high = np.percentile(scan[brain], (1, 99))
    inside = np.where(brain, 0.5 + np.clip((scan - low) / max(float(high - low), 1e-6), 0, 1), 0).astype(np.float32)
    coarse = grid.with_spacing(_SPACING_MM)
    smooth = sitk.SmoothingRecursiveGaussian(grid.image(inside), _SMOOTHING_MM)
    values = sitk.GetArrayFromImage(coarse.resample(smooth))
    parts = [coarse.resample(grid.image(mask.astype(np.float32))) for mask in (brain, tumor)]
    in_brain, in_tumor = (sitk.GetArrayFromImage(part) > 0.1 for part in parts)
    points = _positions(in_brain & ~in_tumor, coarse)
    center = points.mean(0)
    own = values[in_brain & ~in_tumor]
    to_index = np.linalg.inv(coarse.index_to_lps)

    def plane_of(parameters: NDArray[np.float64]) -> Midplane:
        normal = np.array((1.0, parameters[0], parameters[1]))
        normal /= np.linalg.norm(normal)
        return Midplane(center + parameters[2] * normal, normal)

    def asymmetry(parameters: NDArray[np.float64]) -> float:
        plane = plane_of(parameters)
        mirrored = points - 2 * plane.distance_mm(points)[:, None] * plane.normal
        index = (mirrored @ to_index[:3, :3].T + to_index[:3, 3]).T[::-1]
        other = map_coordinates(values, index, order=1)
        counted = map_coordinates(in_tumor.astype(np.float32), index, order=1) < 0.5
        return float(np.abs(other - own)[counted].mean())

    start = np.array([(0, 0, 0), (0.15, 0, 0), (0, 0.15, 0), (0, 0, 6.0)])
    found = minimize(
        asymmetry,
        start[0],
        method="Nelder-Mead",
        options={"initial_simplex": start, "xatol": 0.002, "fatol": 1e-6, "maxiter": 200},
    )
    return plane_of(found.x)


def find_ventricles(
    scan: NDArray[np.float32],
    brain: NDArray[np.bool_],
    tumor: NDArray[np.bool_],
    grid: Grid,
    plane: Midplane,
    fluid: Fluid,
) -> NDArray[np.bool_] | None:
    """Return the mask of the ventricles, (z, y, x); None if there is no fluid deep in the brain near its midplane.

    Args:
        scan: Scan, (z, y, x).
        brain: Mask of the brain.
        tumor: Mask of the tumor, whose necrosis is no ventricle.
        grid: Grid of all.
        plane: Midplane of the brain.
        fluid: Brightness of fluid in the scan.
    """
    values = scan if fluid == "dark" else -scan
    healthy = grid.image((brain & ~tumor).astype(np.uint8))
    classes = sitk.OtsuMultipleThresholdsImageFilter()
    classes.SetNumberOfThresholds(2)
    classes.Execute(sitk.GetImageFromArray(values[brain & ~tumor][None]))  # intensities only, as a row of pixels
    depth = sitk.SignedMaurerDistanceMap(
        grid.image(brain.astype(np.uint8)), squaredDistance=False, useImageSpacing=True, insideIsPositive=True
    )
    deep = sitk.GetArrayViewFromImage(depth) >= _DEPTH_MM
    candidates = deep & (sitk.GetArrayViewFromImage(healthy) > 0) & (values < classes.GetThresholds()[0])
    if not candidates.any():
        return None
    near = np.zeros_like(candidates)
    near[candidates] = np.abs(plane.distance_mm(_positions(candidates, grid))) <= _FROM_MIDPLANE_MM
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(near.astype(np.uint8)), True))
    largest = sitk.GetArrayFromImage(parts) == 1
    return largest if largest.sum() * grid.voxel_ml >= _LEAST_ML else None


def _positions(mask: NDArray[np.bool_], grid: Grid) -> Points:
    """Return the positions (N, 3) of a mask's voxels, in LPS mm."""
    to_lps = grid.index_to_lps
    return np.argwhere(mask)[:, ::-1] @ to_lps[:3, :3].T + to_lps[:3, 3]
