"""What scanners and preparation do to images: coil falloff, thick slices, noise, ringing, small misregistration."""

import math
from dataclasses import dataclass

import torch
from monai.transforms import GibbsNoise
from torch import Tensor
from torch.nn import functional as F

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import CENTER_MM, Anatomy, Lattice
from tokenunet.synthesis.fields import blurred, chance, fresh_seed, resized, seeded, uniform
from tokenunet.synthesis.landmarks import Landmark

THICK_SHARE: dict[SequenceName, float] = {"T1": 0.75, "T1ce": 0.3, "T2": 0.95, "FLAIR": 0.9}
"""Of the patients without volumetric scans; corrz of real T2, FLAIR and T1 is .92, of T1ce .74."""


@dataclass(frozen=True)
class Acquisition:
    """One sequence's imperfections.

    Attributes:
        bias: logarithmic amplitude of the slowly varying coil sensitivity.
        gamma: exponent on the intensities.
        blur_mm: width of in-plane smoothing.
        slice_mm: slice thickness; 1 for an isotropic acquisition.
        slice_axis: 0 axial, 1 coronal, 2 sagittal slices.
        noise: standard deviation relative to the brightest tissue.
        stripes: amplitude of slices that are brighter and darker in turn, 0 to 0.08; 0 in 92 %.
        ringing: strength of Gibbs ringing, 0 to 1.
        turn_deg, shift_mm: what registration left over, about and along (z, y, x).
        overshoot: strength of the bright and dark seams that sharp interpolation leaves, 0 to 0.8; 0 in two of three.
        ghost: share of a copy displaced by motion, 0 to 0.3; 0 in 93 %.
        brightness: intensity of the brightest tissue in the written file.
    """

    bias: float
    gamma: float
    blur_mm: float
    slice_mm: float
    slice_axis: int
    noise: float
    stripes: float
    ringing: float
    turn_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    overshoot: float
    ghost: float
    brightness: float


@dataclass(frozen=True)
class Leftover:
    """A piece outside the brain that the skull-strip forgot.

    Attributes:
        center_mm: (z, y, x) in the field of view.
        radius_mm: 3 to 12, that of an eye at most.
        looks: brightness by sequence, 0.1 to 1.4: fat and muscle can be anything.
    """

    center_mm: tuple[float, float, float]
    radius_mm: float
    looks: dict[SequenceName, float]


@dataclass(frozen=True)
class Artifacts:
    """Imperfections of one patient's four images.

    Attributes:
        sequences: by sequence.
        strip_mm: how far the skull-strip errs outwards (positive) or inwards on average, -1.5 to 2.0.
        strip_unevenness_mm: how much that differs from place to place, 0 to 1.5.
        black_rim: share of the brain's surface where the strip left black bone or air, 0 to 0.3; it makes the dark tail
            of real scans, 4 z below the mean in T1 and T1ce (p001).
        rim_mm: how much of fluid, dura and bone is left in whole regions; 0.5 to 4 in 35 %.
        keeps_sinuses: the sinuses outside the brain survive the strip, as they mostly do.
        leftovers: pieces of eye, fat or muscle that the strip forgot; none in 80 %.
        seed: of the random fields.
    """

    sequences: dict[SequenceName, Acquisition]
    strip_mm: float
    strip_unevenness_mm: float
    black_rim: float
    rim_mm: float
    keeps_sinuses: bool
    leftovers: tuple[Leftover, ...]
    seed: int


def draw_artifacts(generator: torch.Generator, variety: float = 1.0) -> Artifacts:
    """Random imperfections; ``variety`` above 1 makes them worse."""
    sequences: dict[SequenceName, Acquisition] = {}
    three_dimensional = chance(generator, 0.15)
    for name in SEQUENCES:
        thick = not three_dimensional and chance(generator, THICK_SHARE[name])
        tz, ty, tx = (uniform(generator, -0.8, 0.8) * variety for _ in range(3))
        sz, sy, sx = (uniform(generator, -0.8, 0.8) * variety for _ in range(3))
        registered = name == "T1ce"  # the others are registered to it
        sequences[name] = Acquisition(
            # Most coils are even; a surface coil may double the signal from front to back.
            bias=(0.03 + 0.33 * uniform(generator, 0.0, 1.0) ** 1.5) * variety,
            gamma=math.exp(uniform(generator, -0.25, 0.25) * variety),
            blur_mm=uniform(generator, 0.0, 0.9) * variety,
            slice_mm=uniform(generator, 3.0, 7.0) if thick else 1.0,
            slice_axis=int(torch.randint(3, (), generator=generator)) if chance(generator, 0.2) else 0,
            # Evenly spread over the logarithm: most clinical scans show little noise.
            noise=0.004 * (30 if chance(generator, 0.1) else 12) ** uniform(generator, 0.0, 1.0) * variety,
            stripes=uniform(generator, 0.02, 0.08) if chance(generator, 0.08) else 0.0,
            ringing=uniform(generator, 0.3, 0.6) if chance(generator, 0.08) else 0.0,
            turn_deg=(0.0, 0.0, 0.0) if registered else (tz, ty, tx),
            shift_mm=(0.0, 0.0, 0.0) if registered else (sz, sy, sx),
            overshoot=uniform(generator, 0.2, 0.8) if chance(generator, 0.33) else 0.0,
            ghost=uniform(generator, 0.08, 0.3) if chance(generator, 0.07) else 0.0,
            brightness=300 * 6 ** uniform(generator, 0.0, 1.0),
        )
    return Artifacts(
        sequences=sequences,
        strip_mm=uniform(generator, -1.5, 2.0),
        strip_unevenness_mm=uniform(generator, 0.0, 1.5) * variety,
        black_rim=uniform(generator, 0.03, 0.3) if chance(generator, 0.85) else 0.0,
        rim_mm=uniform(generator, 0.5, 4.0) if chance(generator, 0.35) else 0.0,
        keeps_sinuses=chance(generator, 0.7),
        leftovers=tuple(_draw_leftover(generator) for _ in range(2)) if chance(generator, 0.2) else (),
        seed=fresh_seed(generator),
    )


def _draw_leftover(generator: torch.Generator) -> Leftover:
    """Mostly low in front, where the eyes are, on either side."""
    side = 1 if chance(generator, 0.5) else -1
    z, y = uniform(generator, 15, 60), uniform(generator, 40, 90)
    return Leftover(
        center_mm=(z, y, CENTER_MM[2] + side * uniform(generator, 20, 60)),
        radius_mm=uniform(generator, 3, 12),
        looks={name: uniform(generator, 0.1, 1.4) for name in SEQUENCES},
    )


def stripped_brain(artifacts: Artifacts, anatomy: Anatomy, work: Anatomy, outside_mm: Tensor) -> Tensor:
    """The imperfect brain mask, (D, H, W) boolean.

    Args:
        artifacts: what is wrong with it.
        anatomy: gives the lattice wanted.
        work: the same patient with landmarks.
        outside_mm: (d, h, w) distance outside the brain on the lattice of ``work``.
    """
    generator = seeded(artifacts.seed)
    lattice = work.lattice
    uneven, regional = lattice.noise(16, generator)[0], lattice.noise(45, generator)[0]
    error_mm = artifacts.strip_mm + artifacts.strip_unevenness_mm * uneven + artifacts.rim_mm * regional.clamp(min=0)
    excess = outside_mm - error_mm.clamp(-3.5, 6.0)
    if artifacts.keeps_sinuses and work.landmarks is not None:
        excess = torch.minimum(excess, torch.maximum(work.landmarks[Landmark.VEINS], outside_mm - 5))
    for piece in artifacts.leftovers:
        distance = _distance(lattice, piece.center_mm) - piece.radius_mm * (1 + 0.3 * uneven)
        excess = torch.minimum(excess, distance)
    return resized(excess[None], anatomy.lattice.shape)[0] < 0


def _distance(lattice: Lattice, center_mm: tuple[float, float, float]) -> Tensor:
    z, y, x = (p - c for p, c in zip(lattice.positions(), center_mm, strict=True))
    return (z**2 + y**2 + x**2).sqrt()


def acquire(artifacts: Artifacts, anatomy: Anatomy, painted: Tensor, mask: Tensor) -> Tensor:
    """Images as files hold them.

    Args:
        artifacts: what to do to them.
        anatomy: the true brain.
        painted: (4, D, H, W) from `paint`.
        mask: (D, H, W) boolean, outside of which everything is zero.

    Returns:
        (4, D, H, W) float32 with whole numbers, positive inside the mask.
    """
    spacing, shape = anatomy.lattice.spacing, anatomy.lattice.shape
    generator = seeded(artifacts.seed + 1)
    lumps = (1 + 0.3 * anatomy.lattice.noise(5, generator)[0]).clamp(min=0.1)
    bias_lattice = Lattice(8.0)
    shared_bias = bias_lattice.noise(80, generator, drawn_mm=8.0)
    black = _black_rim(artifacts, anatomy, mask)
    images = []
    for image, name in zip(painted, SEQUENCES, strict=True):
        a = artifacts.sequences[name]
        for piece in artifacts.leftovers:
            near = (_distance(anatomy.lattice, piece.center_mm) < 1.6 * piece.radius_mm) & ~anatomy.brain
            image = torch.where(near, piece.looks[name] * lumps, image)
        x = image[None]
        if any(a.turn_deg) or any(a.shift_mm):
            x = _moved(x, a.turn_deg, a.shift_mm, spacing)
        if a.blur_mm > 0:
            x = blurred(x, a.blur_mm / spacing)
        if a.slice_mm > spacing:
            x = _thick_slices(x, a.slice_mm / spacing, a.slice_axis)
        if a.overshoot:
            x = x + a.overshoot * (x - blurred(x, max(1.2 / spacing, 0.6)))
        if a.ghost:
            x = x.lerp(x.roll(round(7 / spacing), 2), a.ghost)
        if a.ringing:
            x = torch.as_tensor(GibbsNoise(alpha=a.ringing)(x)).clamp(min=0)
        field = (0.4 * shared_bias + 0.6 * bias_lattice.noise(80, generator, drawn_mm=8.0)).clamp(-2, 2)
        if a.stripes:
            x = x * (1 + a.stripes * torch.sin(torch.arange(shape[0]) * spacing * 2 * math.pi / 8))[:, None, None]
        x = x[0].clamp(min=0).pow(a.gamma) * resized((a.bias * field).exp(), shape)[0]
        # Magnitude images: the noise of two channels, Rician.
        x = x * black
        noise = torch.randn((2, *shape), generator=generator).mul_(a.noise)
        if a.slice_mm > spacing:  # noise is as thick as the slices are
            noise = _thick_slices(noise, a.slice_mm / spacing, a.slice_axis) * (a.slice_mm / spacing) ** 0.5
        x = torch.hypot(x + noise[0], noise[1])
        images.append((x * a.brightness).round().clamp(min=1) * mask)
    return torch.stack(images)


def _black_rim(artifacts: Artifacts, anatomy: Anatomy, mask: Tensor) -> Tensor:
    """What is left of the signal, (D, H, W): next to nothing in patches of the mask's outermost voxels."""
    generator = seeded(artifacts.seed + 2)
    patches = anatomy.lattice.noise(12, generator)[0]
    wanted = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - max(artifacts.black_rim, 1e-6)))
    depth_mm = 3 * (blurred(mask.float(), 2 / anatomy.lattice.spacing) - 0.5)  # 0 at the surface, about 1.5 inside
    black = mask & (patches > wanted) & (depth_mm < 0.25)
    return 1 - 0.95 * black.float()


def _moved(
    x: Tensor, turn_deg: tuple[float, float, float], shift_mm: tuple[float, float, float], spacing: float
) -> Tensor:
    """(1, D, H, W) turned by small angles and shifted."""
    az, ay, ax = (math.radians(a) for a in turn_deg)
    half = [n * spacing / 2 for n in reversed(x.shape[1:])]
    # Small angles: the rotation is the identity plus a cross product. Columns are (x, y, z), as affine_grid wants them.
    turn = torch.tensor([[1.0, -az, ay], [az, 1.0, -ax], [-ay, ax, 1.0]])
    scale = torch.tensor(half)
    turn = turn * scale[None, :] / scale[:, None]
    shift = torch.tensor(list(reversed(shift_mm))) / scale
    grid = F.affine_grid(torch.cat([turn, shift[:, None]], 1)[None], [1, *x.shape], align_corners=False)
    return F.grid_sample(x[None], grid, align_corners=False, padding_mode="border")[0]


def _thick_slices(x: Tensor, thickness: float, axis: int) -> Tensor:
    """(1, D, H, W) averaged over slices of ``thickness`` voxels along ``axis`` and interpolated back."""
    size = list(x.shape[1:])
    thick = list(size)
    thick[axis] = max(2, round(size[axis] / thickness))
    slices = F.interpolate(x[None], size=thick, mode="area")
    return F.interpolate(slices, size=size, mode="trilinear", align_corners=False)[0]
