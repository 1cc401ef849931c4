"""What scanners and preparation do to images: coil falloff, thick slices, noise, ringing, small misregistration."""

import math
from dataclasses import dataclass

import torch
from monai.transforms import GibbsNoise
from torch import Tensor
from torch.nn import functional as F

from tokenunet.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.anatomy import Anatomy, Lattice
from tokenunet.synthesis.fields import blurred, chance, fresh_seed, resized, seeded, uniform


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
        ringing: strength of Gibbs ringing, 0 to 1.
        turn_deg, shift_mm: what registration left over, about and along (z, y, x).
        brightness: intensity of the brightest tissue in the written file.
    """

    bias: float
    gamma: float
    blur_mm: float
    slice_mm: float
    slice_axis: int
    noise: float
    ringing: float
    turn_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    brightness: float


@dataclass(frozen=True)
class Artefacts:
    """Imperfections of one patient's four images.

    Attributes:
        sequences: by sequence.
        strip_mm: how far the skull-strip errs outwards (positive) or inwards on average.
        strip_unevenness_mm: how much that differs from place to place.
        shell: brightness of what is left of the skull.
        seed: of the random fields.
    """

    sequences: dict[SequenceName, Acquisition]
    strip_mm: float
    strip_unevenness_mm: float
    shell: float
    seed: int


def draw_artefacts(generator: torch.Generator, variety: float = 1.0) -> Artefacts:
    """Random imperfections; ``variety`` above 1 makes them worse."""
    sequences: dict[SequenceName, Acquisition] = {}
    three_dimensional = chance(generator, 0.4)
    for name in SEQUENCES:
        thick = not three_dimensional and chance(generator, 0.7)
        tz, ty, tx = (uniform(generator, -0.8, 0.8) * variety for _ in range(3))
        sz, sy, sx = (uniform(generator, -0.8, 0.8) * variety for _ in range(3))
        registered = name == "T1ce"  # the others are registered to it
        sequences[name] = Acquisition(
            bias=uniform(generator, 0.02, 0.18) * variety,
            gamma=math.exp(uniform(generator, -0.25, 0.25) * variety),
            blur_mm=uniform(generator, 0.0, 0.9) * variety,
            slice_mm=uniform(generator, 2.0, 6.0) if thick else 1.0,
            slice_axis=int(torch.randint(3, (), generator=generator)) if chance(generator, 0.3) else 0,
            noise=uniform(generator, 0.005, 0.05) * variety,
            ringing=uniform(generator, 0.3, 0.6) if chance(generator, 0.08) else 0.0,
            turn_deg=(0.0, 0.0, 0.0) if registered else (tz, ty, tx),
            shift_mm=(0.0, 0.0, 0.0) if registered else (sz, sy, sx),
            brightness=300 * 6 ** uniform(generator, 0.0, 1.0),
        )
    return Artefacts(
        sequences=sequences,
        strip_mm=uniform(generator, -1.5, 1.5),
        strip_unevenness_mm=uniform(generator, 0.0, 1.5) * variety,
        shell=uniform(generator, 0.1, 1.0),
        seed=fresh_seed(generator),
    )


def stripped_brain(artefacts: Artefacts, anatomy: Anatomy) -> Tensor:
    """The imperfect brain mask, (D, H, W) boolean."""
    spacing = anatomy.lattice.spacing
    generator = seeded(artefacts.seed)
    uneven = anatomy.lattice.noise(16, generator)[0]
    # A blurred edge of 3 mm falls by 0.133 a mm at the surface.
    edge = blurred(anatomy.brain.float(), 3.0 / spacing)
    error_mm = (artefacts.strip_mm + artefacts.strip_unevenness_mm * uneven).clamp(-3.5, 3.5)
    return edge + 0.133 * error_mm > 0.5


def acquire(artefacts: Artefacts, anatomy: Anatomy, painted: Tensor, mask: Tensor) -> Tensor:
    """Images as files hold them.

    Args:
        artefacts: what to do to them.
        anatomy: the true brain.
        painted: (4, D, H, W) from `paint`.
        mask: (D, H, W) boolean, outside of which everything is zero.

    Returns:
        (4, D, H, W) float32 with whole numbers, positive inside the mask.
    """
    spacing, shape = anatomy.lattice.spacing, anatomy.lattice.shape
    generator = seeded(artefacts.seed + 1)
    remains = anatomy.lattice.noise(6, generator)[0]
    shell = artefacts.shell * (0.6 + 0.4 * remains).clamp(0.05, 1.2)
    bias_lattice = Lattice(8.0)
    shared_bias = bias_lattice.noise(80, generator, drawn_mm=8.0)
    images = []
    for image, name in zip(painted, SEQUENCES, strict=True):
        a = artefacts.sequences[name]
        x = torch.where(anatomy.brain, image, shell)[None]
        if any(a.turn_deg) or any(a.shift_mm):
            x = _moved(x, a.turn_deg, a.shift_mm, spacing)
        if a.blur_mm > 0:
            x = blurred(x, a.blur_mm / spacing)
        if a.slice_mm > spacing:
            x = _thick_slices(x, a.slice_mm / spacing, a.slice_axis)
        if a.ringing:
            x = torch.as_tensor(GibbsNoise(alpha=a.ringing)(x)).clamp(min=0)
        field = (0.4 * shared_bias + 0.6 * bias_lattice.noise(80, generator, drawn_mm=8.0)).clamp(-2, 2)
        x = x[0].clamp(min=0).pow(a.gamma) * resized((a.bias * field).exp(), shape)[0]
        # Magnitude images: the noise of two channels, Rician.
        noise = torch.randn((2, *shape), generator=generator).mul_(a.noise)
        x = torch.hypot(x + noise[0], noise[1])
        images.append((x * a.brightness).round().clamp(min=1) * mask)
    return torch.stack(images)


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
