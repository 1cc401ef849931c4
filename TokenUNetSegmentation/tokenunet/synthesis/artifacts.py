"""Image artifacts of scanners and preprocessing: bias field, thick slices, noise, ringing, misregistration."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import CENTER_MM, Anatomy, Lattice
from tokenunet.synthesis.fields import blurred, chance, fresh_seed, resized, seeded, uniform
from tokenunet.synthesis.landmarks import Landmark

THICK_SHARE: dict[SequenceName, float] = {"T1": 0.75, "T1ce": 0.3, "T2": 0.95, "FLAIR": 0.9}
"""Share of thick-sliced scans in patients without volumetric ones.

Real T2, FLAIR and T1 have a ``corrz`` of .92, T1ce of .74; see `tokenunet.synthesis.appearance`.
"""


@dataclass(frozen=True)
class Acquisition:
    """Artifacts of one sequence.

    Attributes:
        bias: Logarithmic amplitude of the bias field.
        gamma: Exponent on the intensities.
        blur_mm: Standard deviation of Gaussian smoothing, in mm.
        slice_mm: Slice thickness, in mm; 1 for an isotropic acquisition.
        slice_axis: Axis across the slices: 0 axial, 1 coronal, 2 sagittal.
        noise: Standard deviation relative to the brightest tissue.
        stripes: Relative amplitude of an intensity that alternates along z, 0 to 0.08; 0 in 92 %.
        ringing: Strength of Gibbs ringing, 0 to 1.
        turn_deg: Rotation that registration left over, about (z, y, x), in degrees.
        shift_mm: Translation that registration left over, along (z, y, x), in mm.
        overshoot: Strength of the overshoot at edges that sharp interpolation leaves, 0 to 0.8; 0 in two of three.
        ghost: Share of a copy displaced by motion, 0 to 0.3; 0 in 93 %.
        brightness: Intensity of the brightest tissue in the written file.
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
    """A piece of tissue outside the brain that skull stripping left in the image.

    Attributes:
        center_mm: Center (z, y, x) in the field of view, in mm.
        radius_mm: Radius in mm, 3 to 12, which is that of an eye.
        looks: Brightness by sequence, 0.1 to 1.4, as fat and muscle have almost any.
    """

    center_mm: tuple[float, float, float]
    radius_mm: float
    looks: dict[SequenceName, float]


@dataclass(frozen=True)
class Artifacts:
    """Artifacts of one patient's four images.

    Attributes:
        sequences: Artifacts of each image, by sequence.
        strip_mm: Mean error of the brain mask's surface in mm, -1.5 to 2.0; positive if the mask is too large.
        strip_unevenness_mm: Standard deviation of that error over the surface, in mm, 0 to 1.5.
        black_rim: Share of the brain's surface where the mask includes black bone or air, 0 to 0.3; it produces the
            dark tail of real scans, 4 z below the mean in T1 and T1ce (``p001``).
        rim_mm: Amplitude in mm of the fluid, dura and bone that are left in whole regions; 0.5 to 4 in 35 %.
        keeps_sinuses: Whether the mask includes the sinuses outside the brain, as most masks do.
        leftovers: Pieces of eye, fat or muscle that skull stripping left in the images; none in 80 %.
        seed: Seed of the random fields.
    """

    sequences: dict[SequenceName, Acquisition]
    strip_mm: float
    strip_unevenness_mm: float
    black_rim: float
    rim_mm: float
    keeps_sinuses: bool
    leftovers: tuple[Leftover, ...]
    seed: int


def draw_artifacts(generator: torch.Generator, randomization: float = 1.0) -> Artifacts:
    """Draw random artifacts.

    Args:
        generator: Source of randomness.
        randomization: Factor on the strength of most artifacts.
    """
    sequences: dict[SequenceName, Acquisition] = {}
    three_dimensional = chance(generator, 0.15)
    for name in SEQUENCES:
        thick = not three_dimensional and chance(generator, THICK_SHARE[name])
        tz, ty, tx = (uniform(generator, -0.8, 0.8) * randomization for _ in range(3))
        sz, sy, sx = (uniform(generator, -0.8, 0.8) * randomization for _ in range(3))
        registered = name == "T1ce"  # the others are registered to it
        sequences[name] = Acquisition(
            # Most coils have an even sensitivity; a surface coil may double the signal from front to back.
            bias=(0.03 + 0.33 * uniform(generator, 0.0, 1.0) ** 1.5) * randomization,
            gamma=math.exp(uniform(generator, -0.25, 0.25) * randomization),
            blur_mm=uniform(generator, 0.0, 0.9) * randomization,
            slice_mm=uniform(generator, 3.0, 7.0) if thick else 1.0,
            slice_axis=int(torch.randint(3, (), generator=generator)) if chance(generator, 0.2) else 0,
            # Uniform in the logarithm, as most clinical scans have little noise.
            noise=0.004 * (30 if chance(generator, 0.1) else 12) ** uniform(generator, 0.0, 1.0) * randomization,
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
        strip_unevenness_mm=uniform(generator, 0.0, 1.5) * randomization,
        black_rim=uniform(generator, 0.03, 0.3) if chance(generator, 0.85) else 0.0,
        rim_mm=uniform(generator, 0.5, 4.0) if chance(generator, 0.35) else 0.0,
        keeps_sinuses=chance(generator, 0.7),
        leftovers=tuple(_draw_leftover(generator) for _ in range(2)) if chance(generator, 0.2) else (),
        seed=fresh_seed(generator),
    )


def _draw_leftover(generator: torch.Generator) -> Leftover:
    """Draw a piece on either side, low in front, where the eyes are."""
    side = 1 if chance(generator, 0.5) else -1
    z, y = uniform(generator, 15, 60), uniform(generator, 40, 90)
    return Leftover(
        center_mm=(z, y, CENTER_MM[2] + side * uniform(generator, 20, 60)),
        radius_mm=uniform(generator, 3, 12),
        looks={name: uniform(generator, 0.1, 1.4) for name in SEQUENCES},
    )


def stripped_brain(artifacts: Artifacts, anatomy: Anatomy, work: Anatomy, outside_mm: Tensor) -> Tensor:
    """Compute the imperfect brain mask of skull stripping.

    Args:
        artifacts: Errors of the mask.
        anatomy: Anatomy on the lattice of the mask.
        work: Anatomy of the same patient at `WORK_SPACING`, with landmarks.
        outside_mm: Signed distance from the brain's surface in mm, (d, h, w) on the lattice of ``work``.

    Returns:
        Brain mask, boolean (D, H, W).
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
    """Apply the artifacts to ideal images.

    Args:
        artifacts: Artifacts to apply.
        anatomy: Anatomy on the lattice of the images.
        painted: Images (4, D, H, W) from `paint`.
        mask: Brain mask, boolean (D, H, W); the images are zero outside.

    Returns:
        Images (4, D, H, W), float32 whole numbers as a file stores them, positive inside the mask.
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
            from monai.transforms import GibbsNoise  # seconds to import, and few patients need it

            x = torch.as_tensor(GibbsNoise(alpha=a.ringing)(x)).clamp(min=0)
        field = (0.4 * shared_bias + 0.6 * bias_lattice.noise(80, generator, drawn_mm=8.0)).clamp(-2, 2)
        if a.stripes:
            x = x * (1 + a.stripes * torch.sin(torch.arange(shape[0]) * spacing * 2 * math.pi / 8))[:, None, None]
        x = x[0].clamp(min=0).pow(a.gamma) * resized((a.bias * field).exp(), shape)[0]
        # The magnitude of a complex signal has Rician noise.
        x = x * black
        noise = torch.randn((2, *shape), generator=generator).mul_(a.noise)
        if a.slice_mm > spacing:  # noise is constant across a slice, too
            noise = _thick_slices(noise, a.slice_mm / spacing, a.slice_axis) * (a.slice_mm / spacing) ** 0.5
        x = torch.hypot(x + noise[0], noise[1])
        images.append((x * a.brightness).round().clamp(min=1) * mask)
    return torch.stack(images)


def _black_rim(artifacts: Artifacts, anatomy: Anatomy, mask: Tensor) -> Tensor:
    """Return the factor on the signal, (D, H, W): 0.05 in patches of the mask's outermost voxels, 1 elsewhere."""
    generator = seeded(artifacts.seed + 2)
    patches = anatomy.lattice.noise(12, generator)[0]
    wanted = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - max(artifacts.black_rim, 1e-6)))
    depth_mm = 3 * (blurred(mask.float(), 2 / anatomy.lattice.spacing) - 0.5)  # 0 at the surface, about 1.5 inside
    black = mask & (patches > wanted) & (depth_mm < 0.25)
    return 1 - 0.95 * black.float()


def _moved(
    x: Tensor, turn_deg: tuple[float, float, float], shift_mm: tuple[float, float, float], spacing: float
) -> Tensor:
    """Return an image (1, D, H, W) rotated by small angles and shifted."""
    az, ay, ax = (math.radians(a) for a in turn_deg)
    half = [n * spacing / 2 for n in reversed(x.shape[1:])]
    # A small rotation is the identity plus a cross product. Columns are (x, y, z), as affine_grid expects them.
    turn = torch.tensor([[1.0, -az, ay], [az, 1.0, -ax], [-ay, ax, 1.0]])
    scale = torch.tensor(half)
    turn = turn * scale[None, :] / scale[:, None]
    shift = torch.tensor(list(reversed(shift_mm))) / scale
    grid = F.affine_grid(torch.cat([turn, shift[:, None]], 1)[None], [1, *x.shape], align_corners=False)
    return F.grid_sample(x[None], grid, align_corners=False, padding_mode="border")[0]


def _thick_slices(x: Tensor, thickness: float, axis: int) -> Tensor:
    """Return an image (1, D, H, W) averaged over ``thickness`` voxels along ``axis`` and interpolated back."""
    size = list(x.shape[1:])
    thick = list(size)
    thick[axis] = max(2, round(size[axis] / thickness))
    slices = F.interpolate(x[None], size=thick, mode="area")
    return F.interpolate(slices, size=size, mode="trilinear", align_corners=False)[0]
