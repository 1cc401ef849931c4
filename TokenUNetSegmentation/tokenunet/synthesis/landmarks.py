"""Positions of healthy structures that resemble tumor in one sequence or another.

Contrast agent enhances veins, arteries, dural sheets and choroid plexus; parts of the gray matter are brighter in
FLAIR than the rest. No tissue map contains them, so they are drawn into the atlas by hand, in MNI coordinates or along
the atlas's own surface, and are deformed with it by every warp and mass effect.
"""

import itertools
import math
from enum import IntEnum

import torch
from torch import Tensor
from torch.nn import functional as F

MARGIN_MM = 12.0
"""Distance at which landmark distances are clipped, in mm."""

Point = tuple[float, float, float]
"""MNI coordinates in mm: (right, front, up)."""


class Landmark(IntEnum):
    """Channels of `landmark_distances`."""

    VEINS = 0
    """Dural sinuses with the cavernous ones, deep veins, pituitary gland and infundibulum."""
    ARTERIES = 1
    """Internal carotid, middle, anterior and posterior cerebral, basilar and vertebral arteries."""
    SHEETS = 2
    """Falx and tentorium."""
    CHOROID = 3
    """Choroid plexus of the lateral, third and fourth ventricles; pineal gland."""
    LIMBIC = 4
    """Insula, hippocampus, amygdala and cingulate gyrus."""


# Each line has sides, a radius in mm and the points on its course. With "both", it is mirrored to the other side, too.
_Line = tuple[str, float, tuple[Point, ...]]
_LINES: dict[Landmark, tuple[_Line, ...]] = {
    Landmark.VEINS: (
        ("one", 2.5, ((0, -98, -14), (0, -75, -3), (0, -48, 6))),  # straight sinus
        ("one", 1.8, ((0, -48, 6), (0, -40, 9))),  # great vein
        ("both", 0.7, ((0, -40, 9), (2, -25, 14), (4, 0, 9))),  # internal cerebral veins
        ("both", 0.6, ((4, 0, 9), (14, 5, 24), (20, -2, 30))),  # thalamostriate and septal veins
        ("both", 1.2, ((0, -40, 9), (14, -32, 0), (20, -18, -14))),  # basal veins
        ("both", 2.8, ((52, -45, -28), (44, -40, -42), (32, -42, -52))),  # sigmoid sinus
        ("both", 3.0, ((12, -2, -28), (13, -14, -32))),  # cavernous sinus
        ("one", 4.0, ((0, 2, -31), (0, 0, -31))),  # pituitary gland
        ("one", 1.2, ((0, 0, -27), (0, -2, -16))),  # infundibulum
    ),
    Landmark.ARTERIES: (
        ("both", 1.6, ((12, -2, -30), (13, 4, -20))),
        ("both", 1.2, ((13, 4, -20), (26, 6, -19), (38, 2, -16), (41, 0, -4), (40, -12, 6), (46, -26, 14))),
        ("both", 0.9, ((13, 4, -20), (2, 12, -16), (2, 36, -6), (2, 36, 12), (2, 22, 26), (2, -4, 34))),
        ("both", 1.0, ((0, -14, -20), (14, -18, -18), (22, -30, -10), (16, -55, 0), (12, -75, 6))),
        ("one", 1.4, ((0, -11, -20), (0, -18, -46))),
        ("both", 1.1, ((0, -18, -46), (8, -32, -62))),
    ),
    Landmark.CHOROID: (
        ("both", 0.9, ((2, -2, 9), (6, -16, 20), (14, -28, 20), (21, -38, 14))),
        ("both", 3.0, ((22, -39, 12), (25, -43, 7))),  # glomus
        ("both", 1.4, ((25, -43, 7), (32, -34, -6), (34, -22, -13), (31, -12, -18))),
        ("one", 0.8, ((0, -2, 8), (0, -24, 12))),  # roof of the third ventricle
        ("both", 1.4, ((0, -46, -36), (5, -44, -38), (14, -40, -40))),
        ("one", 3.0, ((0, -32, 4), (0, -33, 3))),  # pineal gland
    ),
    Landmark.LIMBIC: (
        ("both", 7.0, ((37, 16, -4), (40, 2, 2), (38, -14, 8))),
        ("both", 6.0, ((22, -4, -18), (26, -18, -16), (28, -32, -8))),
        ("both", 6.0, ((6, 36, 2), (6, 30, 22), (6, 4, 36), (6, -24, 38), (7, -48, 26))),
    ),
}


def landmark_distances(tissues: Tensor, center: Point) -> Tensor:
    """Compute the distance from each landmark's surface.

    Args:
        tissues: Share of fluid, gray and white matter, (3, D, H, W) at 1 mm, with axes toward S, P and L.
        center: Index (z, y, x) of the MNI origin.

    Returns:
        Distances in mm, (5, D, H, W) in the order of `Landmark`, negative inside and at most `MARGIN_MM`.
    """
    brain = (tissues.sum(0) > 0.5).float()
    shape = tuple(brain.shape)
    # Distances are smooth, so that every other voxel is enough.
    axes = [torch.arange(0, n + 1, 2.0) - c for n, c in zip(shape, center, strict=True)]
    up, back, left = torch.meshgrid(*axes, indexing="ij")
    positions = torch.stack([-left, -back, up])
    fluid, brain = (F.pad(m, (0, 1) * 3)[::2, ::2, ::2] for m in (tissues[0], brain))
    outline = _outline(brain, positions)
    around = (*_sagittal_sinus(outline), *_transverse_sinuses(brain, positions))
    sheets = torch.minimum(_falx(fluid, positions, outline), _tentorium(fluid, positions))
    distances = {
        Landmark.VEINS: _tubes(positions, _LINES[Landmark.VEINS] + around),
        Landmark.ARTERIES: _tubes(positions, _LINES[Landmark.ARTERIES]),
        Landmark.SHEETS: sheets,
        Landmark.CHOROID: _tubes(positions, _LINES[Landmark.CHOROID]),
        Landmark.LIMBIC: _tubes(positions, _LINES[Landmark.LIMBIC]),
    }
    half = torch.stack([distances[landmark] for landmark in Landmark]).clamp(max=MARGIN_MM)
    fine = F.interpolate(half[None], size=[2 * n - 1 for n in half.shape[1:]], mode="trilinear", align_corners=True)[0]
    return fine[:, : shape[0], : shape[1], : shape[2]].contiguous()


def _tubes(positions: Tensor, lines: tuple[_Line, ...]) -> Tensor:
    """Return the distance from the nearest of several bent tubes."""
    nearest = torch.full(positions.shape[1:], 2 * MARGIN_MM)
    for sides, radius, points in lines:
        for side in (1, -1) if sides == "both" else (1,):
            for start, end in itertools.pairwise(points):
                a, b = (torch.tensor([side * p[0], p[1], p[2]], dtype=torch.float32) for p in (start, end))
                along = b - a
                low, high = torch.minimum(a, b) - 2 * MARGIN_MM, torch.maximum(a, b) + 2 * MARGIN_MM
                box = _box(positions, low, high)
                offset = positions[(slice(None), *box)] - a.view(3, 1, 1, 1)
                t = (torch.einsum("i,i...->...", along, offset) / along.square().sum()).clamp(0, 1)
                distance = (offset - t * along.view(3, 1, 1, 1)).square().sum(0).sqrt() - radius
                nearest[box] = torch.minimum(nearest[box], distance)
    return nearest


def _box(positions: Tensor, low: Tensor, high: Tensor) -> tuple[slice, slice, slice]:
    """Return the slices of the lattice between two corners."""
    slices = []
    for axis, world in ((0, 2), (1, 1), (2, 0)):
        line = positions[world].movedim(axis, 0)[:, 0, 0]
        inside = ((line >= low[world]) & (line <= high[world])).nonzero()
        slices.append(slice(int(inside.min()), int(inside.max()) + 1) if len(inside) else slice(0, 0))
    return slices[0], slices[1], slices[2]


_HUB = (-20.0, 5.0)
"""Origin (front, up) in the mid-sagittal plane of the polar coordinates of the brain's outline, in mm."""


def _outline(brain: Tensor, positions: Tensor) -> Tensor:
    """Return the distance from `_HUB` to the brain's surface near the midline, per degree from front to top."""
    near = (brain > 0.5) & (positions[0].abs() < 14)
    front, up = positions[1][near] - _HUB[0], positions[2][near] - _HUB[1]
    angle = torch.atan2(up, front).rad2deg().round().long() % 360
    radius = torch.zeros(360).scatter_reduce(0, angle, (front**2 + up**2).sqrt(), "amax")
    return F.avg_pool1d(F.pad(radius[None], (6, 6), "circular"), 13, 1)[0]


def _sagittal_sinus(outline: Tensor) -> tuple[_Line, ...]:
    """Return the superior sagittal sinus along the outline, from forehead to confluence, wider toward the back."""
    lines: list[_Line] = []
    previous: Point | None = None
    for degrees in range(8, 201, 8):
        radius = float(outline[degrees]) - 1.0
        angle = math.radians(degrees)
        point = (0.0, _HUB[0] + radius * math.cos(angle), _HUB[1] + radius * math.sin(angle))
        if previous is not None:
            lines.append(("one", 1.0 + 2.5 * degrees / 200, (previous, point)))
        previous = point
    return tuple(lines)


def _transverse_sinuses(brain: Tensor, positions: Tensor) -> tuple[_Line, ...]:
    """Return the transverse sinuses from the confluence along the brain's surface to the sigmoid sinuses."""
    level = int((positions[2][:, 0, 0] + 20).abs().argmin())
    right, front = positions[0][level], positions[1][level]
    inside = brain[level] > 0.5
    points: list[Point] = [(0.0, -98.0, -14.0)]
    for degrees in (12, 24, 36, 48, 58):
        angle = math.radians(degrees)
        # Degrees are measured from straight back about a point in front of the cerebellum.
        along = right.abs() * math.sin(angle) - (front + 30) * math.cos(angle)
        across = right.abs() * math.cos(angle) + (front + 30) * math.sin(angle)
        ray = inside & (across.abs() < 4) & (along > 0)
        reach = float(along[ray].max()) - 1.0 if ray.any() else 60.0
        points.append((reach * math.sin(angle), -30 - reach * math.cos(angle), -18.0 - degrees / 10))
    return (("both", 2.6, (*points, (52.0, -45.0, -28.0))),)


def _centered(fluid: Tensor, offset: Tensor, axis: int, reach: float) -> Tensor:
    """Estimate the position of a cleft: the mean ``offset`` of the fluid within ``reach`` mm along ``axis``."""
    weight = (fluid + 0.02) * (offset.abs() < reach)
    middle = (weight * offset).sum(axis, keepdim=True) / weight.sum(axis, keepdim=True).clamp(min=1e-3)
    smooth = F.avg_pool3d(
        middle[None, None], [1 if a == axis else 5 for a in range(3)], 1, [0 if a == axis else 2 for a in range(3)]
    )
    return smooth[0, 0]


def _falx(fluid: Tensor, positions: Tensor, outline: Tensor) -> Tensor:
    """Return the distance from the sheet between the hemispheres, narrow at the forehead and deep at the back."""
    front, up = positions[1] - _HUB[0], positions[2] - _HUB[1]
    degrees = torch.atan2(up, front).rad2deg() % 360
    edge = outline[degrees.long().clamp(0, 359)]
    radius = (front**2 + up**2).sqrt()
    # Its free edge is close to the surface in front and reaches the splenium of the corpus callosum.
    free = edge * (0.80 - 0.35 * (degrees / 180).clamp(0, 1))
    off = (positions[0] - _centered(fluid, positions[0], 2, 6.0)).abs()
    beyond = torch.maximum(free - radius, radius - edge).clamp(min=0)
    within = (degrees > 5) & (degrees < 195)
    return torch.where(within, torch.maximum(off, beyond) - 0.4, MARGIN_MM)


def _tentorium(fluid: Tensor, positions: Tensor) -> Tensor:
    """Return the distance from the tent over the cerebellum, highest at its notch, lowest at its rear margin."""
    right, front, up = positions
    height = -22 + 22 * (1 - right.abs() / 52) * ((front + 105) / 55).clamp(0, 1)
    off = up - height
    off = (off - _centered(fluid, off, 0, 6.0)).abs()
    notch = 22 - ((right / 1.2) ** 2 + (front + 28) ** 2).sqrt()
    beyond = torch.stack([notch, front + 30, -98 - front, right.abs() - 56]).amax(0).clamp(min=0)
    return torch.maximum(off, beyond) - 0.4
