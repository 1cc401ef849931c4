"""Healthy anatomy: an atlas brain with a random affine transform, warp and cortical folding for every patient."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenunet.io.resources import resource
from tokenunet.synthesis.fields import Shape, blurred, chance, fresh_seed, resized, seeded, smooth_noise, uniform
from tokenunet.synthesis.landmarks import landmark_distances

AtlasName = Literal["icbm152", "colin27"]
ATLASES: tuple[AtlasName, ...] = get_args(AtlasName)

# Every patient fills a box in BraTS's field of view of 240 x 240 x 155 mm; its sides are divisible by 1.6, 2, 4, 8 mm.
BOX_START_MM = (0, 24, 32)
BOX_SIZE_MM = (152, 208, 176)
CENTER_MM = (70.0, 128.0, 120.0)
"""Position of the atlas's center in the field of view, (z, y, x)."""


@dataclass(frozen=True)
class Lattice:
    """The voxels of the patient's box at one spacing.

    Attributes:
        spacing: Isotropic voxel size, in mm.
    """

    spacing: float

    @property
    def shape(self) -> Shape:
        """Number of voxels, (D, H, W)."""
        d, h, w = (round(size / self.spacing) for size in BOX_SIZE_MM)
        return d, h, w

    def noise(self, scale_mm: float, generator: torch.Generator, fields: int = 1, drawn_mm: float = 2.0) -> Tensor:
        """Return `smooth_noise` whose features are about ``scale_mm`` wide.

        It is drawn at a fixed spacing and resampled, so that a patient has the same shape at every spacing.

        Args:
            scale_mm: Width of the features, in mm.
            generator: Source of randomness.
            fields: Number of independent fields.
            drawn_mm: Spacing at which the noise is drawn, in mm.

        Returns:
            Noise (fields, D, H, W).
        """
        return resized(smooth_noise(Lattice(drawn_mm).shape, scale_mm / drawn_mm, generator, fields), self.shape)

    def positions(self) -> list[Tensor]:
        """Return the voxel centers' positions in the field of view, in mm, as broadcastable tensors for z, y and x."""
        axes = []
        for axis, (start, n) in enumerate(zip(BOX_START_MM, self.shape, strict=True)):
            view = [1, 1, 1]
            view[axis] = n
            axes.append((start + (torch.arange(n) + 0.5) * self.spacing - 0.5).view(view))
        return axes


@dataclass(frozen=True)
class Atlas:
    """Maps of one brain at 1 mm.

    Attributes:
        maps: Maps (5, D, H, W): fluid, gray and white matter (adding up to the brain), ventricles, and detail, which is
            the T1 intensity that the mixture of tissues does not explain (in deep gray matter, for instance).
        landmarks: Distances from the landmarks in mm, (5, D, H, W) in the order of `Landmark`.
    """

    maps: Tensor
    landmarks: Tensor


@cache
def load_atlas(name: AtlasName) -> Atlas:
    """Load an atlas that is shipped with the code.

    Args:
        name: One of `ATLASES`.

    Raises:
        FileNotFoundError: If the atlas is not installed.
    """
    folder = resource("Atlas") / name
    files = [sitk.ReadImage(str(folder / f"{n}.nii.gz")) for n in ("t1", "gray", "white", "ventricles")]
    t1, gray, white, ventricles = (sitk.GetArrayFromImage(file).astype(np.float32) for file in files)
    x, y, z = files[0].TransformPhysicalPointToContinuousIndex((0.0, 0.0, 0.0))
    brain = t1 > 0
    gray, white = gray / 255, white / 255
    fluid = np.clip(brain - gray - white, 0, 1)
    tissues = np.stack([fluid, gray, white])
    t1 = t1 / 255
    means, *_ = np.linalg.lstsq(tissues[:, brain].T, t1[brain], rcond=None)
    detail = (t1 - np.tensordot(means, tissues, 1)) * (gray + white)
    maps = torch.from_numpy(np.concatenate([tissues, ventricles[None], detail[None]]).astype(np.float32))
    landmarks = landmark_distances(maps[:3], (z, y, x))
    # With the channels of a voxel contiguous in memory, sampling is a third faster.
    maps, landmarks = (m[None].contiguous(memory_format=torch.channels_last_3d)[0] for m in (maps, landmarks))
    return Atlas(maps, landmarks)


@dataclass(frozen=True)
class Pose:
    """How one patient's brain differs from the atlas.

    Attributes:
        atlas: Atlas that the brain is taken from.
        mirrored: Whether left and right are exchanged.
        rotation_deg: Rotation about the axes (z, y, x), in degrees.
        scale: Size relative to the atlas along (z, y, x).
        shift_mm: Translation along (z, y, x), in mm.
        warp_mm: Standard deviation of the smooth random displacement, in mm.
        warp_scale_mm: Distance between independent displacements, in mm.
        ventricle_growth: Volume added to the ventricles, as a fraction of theirs; old brains have up to twice as much.
        sharpness: Exponent on the tissue probabilities; the averaged template needs more than 1.
        folding: Strength of the random folds added to the cortex.
        seed: Seed of the random fields.
    """

    atlas: AtlasName
    mirrored: bool
    rotation_deg: tuple[float, float, float]
    scale: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    warp_mm: float
    warp_scale_mm: float
    ventricle_growth: float
    sharpness: float
    folding: float
    seed: int


def draw_pose(generator: torch.Generator, randomization: float = 1.0) -> Pose:
    """Draw a random anatomy.

    Args:
        generator: Source of randomness.
        randomization: Factor on the width of the drawn ranges; above 1 draws from wider ones.
    """

    def three(width: float, middle: float = 0.0) -> tuple[float, float, float]:
        z, y, x = (uniform(generator, middle - width * randomization, middle + width * randomization) for _ in range(3))
        return z, y, x

    atlas = ATLASES[int(torch.randint(len(ATLASES), (), generator=generator))]
    averaged = atlas == "icbm152"
    # The MNI template is larger than most brains; these sizes give 1.2 to 2.1 l including fluid.
    size = uniform(generator, 0.86, 0.97) if averaged else uniform(generator, 0.90, 1.00)
    z, y, x = three(0.04, size)
    return Pose(
        atlas=atlas,
        mirrored=chance(generator, 0.5),
        rotation_deg=three(8.0),
        scale=(z, y, x),
        shift_mm=three(5.0),
        warp_mm=uniform(generator, 1.0, 4.0) * randomization,
        warp_scale_mm=uniform(generator, 20, 45),
        ventricle_growth=uniform(generator, -0.3, 1.3),
        sharpness=uniform(generator, 1.5, 4.0) if averaged else uniform(generator, 0.8, 1.5),
        folding=uniform(generator, 0.5, 2.0) if averaged else uniform(generator, 0.0, 0.8),
        seed=fresh_seed(generator),
    )


@dataclass
class Anatomy:
    """Tissues of one patient on a lattice.

    Attributes:
        lattice: Lattice that all maps are sampled on.
        fluid: Share of cerebrospinal fluid in each voxel, (D, H, W).
        gray: Share of gray matter, (D, H, W).
        white: Share of white matter, (D, H, W).
        ventricles: Share of the ventricles, (D, H, W).
        detail: T1 intensity that the mixture of tissues does not explain, (D, H, W).
        brain: Brain mask, boolean (D, H, W).
        landmarks: Distances from the landmarks in mm, (5, D, H, W) in the order of `Landmark`; None if not requested.
    """

    lattice: Lattice
    fluid: Tensor
    gray: Tensor
    white: Tensor
    ventricles: Tensor
    detail: Tensor
    brain: Tensor
    landmarks: Tensor | None = None


def _rotation(degrees: tuple[float, float, float]) -> Tensor:
    """Return the product of the rotations about z, y and x, acting on vectors (z, y, x)."""
    matrix = torch.eye(3)
    for axis, angle in enumerate(torch.tensor(degrees).deg2rad()):
        a, b = (i for i in range(3) if i != axis)
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = angle.cos()
        turn[a, b], turn[b, a] = -angle.sin(), angle.sin()
        matrix = matrix @ turn
    return matrix


def _atlas_positions(pose: Pose, lattice: Lattice, displacement_mm: Tensor | None) -> Tensor:
    """Return the position in the atlas of each voxel's tissue, (1, D, H, W, 3), as `grid_sample` takes it."""
    coarse = Lattice(4.0)
    warp = coarse.noise(pose.warp_scale_mm, seeded(pose.seed), fields=3, drawn_mm=4.0) * pose.warp_mm
    if displacement_mm is not None:
        warp = warp - resized(displacement_mm, coarse.shape)
    warp = resized(warp, lattice.shape)
    centered = torch.stack(
        torch.broadcast_tensors(
            *(p - c - s for p, c, s in zip(lattice.positions(), CENTER_MM, pose.shift_mm, strict=True))
        )
    )
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0 if pose.mirrored else 1.0]))
    to_atlas = mirror @ torch.diag(1 / torch.tensor(pose.scale)) @ _rotation(pose.rotation_deg)
    source = torch.einsum("ij,j...->i...", to_atlas, centered + warp)
    half = (torch.tensor(load_atlas(pose.atlas).maps.shape[1:], dtype=torch.float32) - 1) / 2
    return (source / half.view(3, 1, 1, 1)).flip(0).movedim(0, -1)[None]


def build_anatomy(
    pose: Pose, lattice: Lattice, displacement_mm: Tensor | None = None, landmarks: bool = False
) -> Anatomy:
    """Sample the tissues of a patient.

    Args:
        pose: Difference of the patient from the atlas.
        lattice: Lattice to sample on.
        displacement_mm: Displacement by a mass of the tissue that is now in each voxel, (3, d, h, w) along (z, y, x) in
            mm, over the box at any spacing.
        landmarks: Whether to compute the distances from the landmarks, too.
    """
    atlas = load_atlas(pose.atlas)
    grid = _atlas_positions(pose, lattice, displacement_mm)
    maps = F.grid_sample(atlas.maps[None], grid, align_corners=True)[0]
    distances = None
    if landmarks:
        distances = F.grid_sample(atlas.landmarks[None], grid, align_corners=True, padding_mode="border")[0]
    brain = maps[:3].sum(0) > 0.5

    folds = lattice.noise(5.0, seeded(pose.seed + 1), fields=3)
    logits = pose.sharpness * (maps[:3] + 0.02).log() + pose.folding * folds
    fluid, gray, white = logits.softmax(0) * brain
    return Anatomy(lattice, fluid, gray, white, maps[3], maps[4], brain, distances)


def surface_distance(brain: Tensor, spacing: float) -> Tensor:
    """Estimate the signed distance from the brain's surface.

    Args:
        brain: Brain mask, boolean (D, H, W).
        spacing: Isotropic voxel size, in mm.

    Returns:
        Distance in mm, (D, H, W), positive outside; its magnitude is at most about 10 mm.
    """
    sigma = 4.0
    edge = blurred(brain.float(), sigma / spacing)
    # Across a flat surface the blurred edge is the normal distribution's integral.
    return -sigma * math.sqrt(2) * torch.erfinv((2 * edge - 1).clamp(-0.985, 0.985))
