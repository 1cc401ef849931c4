"""Synthetic scans of whole heads in any contrast, with brain masks, on which brain extraction is trained.

The label map of one head gets random intensities and a random deformation, as in SynthStrip (Hoopes et al.,
SynthStrip: skull-stripping for any brain image, NeuroImage 260 (2022), doi:10.1016/j.neuroimage.2022.119474).
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenunet.io.resources import resource
from tokenunet.synthesis.fields import Shape, blurred, chance, resized, seeded, smooth_noise, uniform

HEAD_SHAPE: Shape = (80, 96, 80)
HEAD_SPACING = 2.5
"""Spacing in mm of the lattice of heads, whose axes z, y and x run to S, P and L; it covers 200 x 240 x 200 mm."""

_OUTER_FLUID, _FLUID, _WHITE = 8, 9, 11
_LOOKS = {
    # Intensities by label, the dura's last:
    # background, air, bone, marrow, muscle, fat, skin, eye, outer fluid, fluid, gray and white matter, cord; dura
    "T1": (0.0, 0.0, 0.05, 0.60, 0.40, 0.95, 0.60, 0.20, 0.20, 0.15, 0.50, 0.70, 0.65, 0.40),
    "T1ce": (0.0, 0.0, 0.05, 0.60, 0.50, 0.95, 0.75, 0.25, 0.25, 0.15, 0.50, 0.65, 0.65, 1.00),
    "T2": (0.0, 0.0, 0.05, 0.40, 0.20, 0.60, 0.40, 0.95, 0.95, 0.95, 0.50, 0.35, 0.35, 0.15),
    "FLAIR": (0.0, 0.0, 0.05, 0.35, 0.30, 0.55, 0.45, 0.20, 0.15, 0.15, 0.60, 0.45, 0.45, 0.35),
}
_NECK_MM = 60
"""Height added below the atlas, which ends at the upper jaw, by repeating its lowest slice."""


@dataclass(frozen=True)
class _Head:
    """Maps of the atlas at 2 mm.

    Attributes:
        labels: Share of each label in each voxel, (13, D, H, W); see ``HEAD_LABELS`` in
            Resources/Atlas/build_atlas.py.
        brain: Share of the brain in each voxel, (D, H, W).
        outside: Distance in mm from the brain, negative inside, and its gradient along z, y and x, (4, D, H, W).
        center: Center of the brain, in voxels of 2 mm along z, y and x.
    """

    labels: Tensor
    brain: Tensor
    outside: Tensor
    center: Tensor


@cache
def _head() -> _Head:
    labels = sitk.GetArrayFromImage(sitk.ReadImage(resource("Atlas/colin27/head.nii.gz")))
    odd = [n % 2 for n in labels.shape]
    padded = torch.from_numpy(np.pad(labels, [(_NECK_MM, odd[0]), (0, odd[1]), (0, odd[2])], mode="edge"))
    shares = torch.stack([F.avg_pool3d((padded == i)[None].float(), 2)[0] for i in range(int(padded.max()) + 1)])
    share = shares[_FLUID : _WHITE + 1].sum(0)
    share[: _NECK_MM // 2] = 0
    mask = sitk.GetImageFromArray((share > 0.5).to(torch.uint8).numpy())
    mask.SetSpacing([2.0] * 3)
    distance = torch.from_numpy(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(mask, squaredDistance=False)))
    gradient = torch.stack(torch.gradient(blurred(distance, 1.5), spacing=2.0))
    center = (share > 0.5).nonzero().float().mean(0)
    return _Head(shares, share, torch.cat([distance[None], gradient]), center)


def synthetic_head(
    seed: int, spacing: float = HEAD_SPACING, shape: Shape = HEAD_SHAPE, randomization: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Draw a random scan of a head, with axes toward S, P and L.

    Args:
        seed: Seed that determines the head.
        spacing: Isotropic voxel size, in mm.
        shape: Number of voxels, (D, H, W); the brain is near the center.
        randomization: Factor on the width of the drawn ranges; above 1 draws from wider ones.

    Returns:
        The image, float32 (D, H, W), 0 outside the field of view and mostly below 2, and the brain mask, boolean
        (D, H, W).
    """
    generator = seeded(seed)
    where, outside = _positions(generator, spacing, shape, randomization)
    head = _head()
    image, share = _sampled(torch.stack([_painted(head, generator, randomization), head.brain]), where)
    brain = share > 0.5
    for _ in range(int(torch.randint(0, 4, (), generator=generator)) if chance(generator, 0.6) else 0):
        image = _with_lesion(image, brain, generator, spacing)
    if chance(generator, 0.2):
        image = _with_swelling(image, outside, generator, spacing)
    image = _acquired(image, generator, spacing, randomization)
    seen = _field_of_view(brain, outside, generator, spacing)
    return image * seen, brain & seen


def _positions(generator: torch.Generator, spacing: float, shape: Shape, randomization: float) -> tuple[Tensor, Tensor]:
    """Return each voxel's position in the atlas, (D, H, W, 3) in voxels of 2 mm, and distance from the brain in mm."""
    head = _head()
    axes = [(torch.arange(n) - (n - 1) / 2) * spacing for n in shape]
    mm = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    shift = torch.tensor([uniform(generator, -25, 25), uniform(generator, -20, 20), uniform(generator, -15, 15)])
    # Colin27 is in MNI space, whose heads are larger than most.
    size = math.exp(uniform(generator, -0.25, 0.05) * randomization)
    sides = torch.tensor([size * math.exp(uniform(generator, -0.08, 0.08) * randomization) for _ in range(3)])
    if chance(generator, 0.5):
        sides[2] *= -1
    turn = _rotation([math.radians(uniform(generator, -25, 25) * randomization) for _ in range(3)])
    mm = (mm - shift) @ turn / sides
    coarse: Shape = tuple(max(2, math.ceil(n * spacing / 8)) for n in shape)  # type: ignore[assignment]
    bend = sum(
        (
            uniform(generator, 0, strength * randomization) * smooth_noise(coarse, scale / 8, generator, 3)
            for scale, strength in ((90.0, 7.0), (45.0, 4.0), (22.0, 1.5))
        ),
        torch.zeros(3, *coarse),
    )
    where = (mm + resized(bend, shape).movedim(0, -1)) / 2 + head.center
    # Moving along the gradient of the distance makes the layers around the brain thicker or thinner.
    outside, *outwards = _sampled(head.outside, where)
    thickness = (
        uniform(generator, -0.5, 0.4) * randomization + 0.15 * smooth_noise(shape, 60 / spacing, generator)[0]
    ).exp()
    layer = outside.clamp(0, 30)
    farther = (layer / thickness - layer).clamp(-14, 20)
    where = where + farther[..., None] * torch.stack(outwards, -1) / 2
    return where, outside + farther


def _rotation(angles: list[float]) -> Tensor:
    """Return the 3 x 3 product of the rotations about z, y and x by angles in radians."""
    turn = torch.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (a for a in range(3) if a != axis)
        step = torch.eye(3)
        step[one, one] = step[other, other] = math.cos(angle)
        step[one, other], step[other, one] = -math.sin(angle), math.sin(angle)
        turn = turn @ step
    return turn


def _sampled(maps: Tensor, where: Tensor) -> Tensor:
    """Sample maps (C, d, h, w) at positions (D, H, W, 3) in voxels along z, y and x, repeating the border outside."""
    sides = torch.tensor(maps.shape[1:]) - 1
    grid = (2 * where / sides - 1).flip(-1)[None]
    return F.grid_sample(maps[None], grid, align_corners=True, padding_mode="border")[0]


def _painted(head: _Head, generator: torch.Generator, randomization: float) -> Tensor:
    """Paint the atlas with random intensities, (D, H, W)."""
    looks = _draw_looks(generator, randomization)
    distance = head.outside[0]
    shape: Shape = tuple(distance.shape)  # type: ignore[assignment]
    image = torch.einsum("l,lzyx->zyx", looks[:-1], head.labels)
    patches = smooth_noise(shape, 10, generator)[0]
    # Atrophy: the brain recedes from its surface, and fluid takes its place.
    receding = (uniform(generator, 0, 4) if chance(generator, 0.35) else 0.0) + 0.5 * patches
    rim = ((distance + receding + 1) / 2).clamp(0, 1) * head.brain
    if chance(generator, 0.5):
        image = image.lerp(looks[_FLUID], rim * (distance <= 0))
    # The dura is complete or patchy, adjacent to the brain or separated from it by fluid.
    begin, width = uniform(generator, 0.0, 2.5), uniform(generator, 0.5, 2.5)
    dura = ((width + 1 - (distance - begin - width / 2).abs() * 2) / 2).clamp(0, 1)
    fluid = (1.5 - (distance - begin / 2).abs()).clamp(0, 1) * (distance > 0)
    image = image.lerp(looks[_OUTER_FLUID], fluid * float(chance(generator, 0.6)))
    image = image.lerp(looks[-1], dura * (patches + uniform(generator, -1, 2)).clamp(0, 1) * (distance > 0))
    # Two smooth fields are both near zero along winding curves, as vessels are.
    windings = smooth_noise(shape, 12, generator, 2).abs()
    vessels = (windings.amax(0) < uniform(generator, 0.05, 0.25)) & (distance > -12) & (distance < 6)
    image = torch.where(vessels & chance(generator, 0.4), uniform(generator, 0, 1.5), image)
    texture = uniform(generator, 0, 0.08 * randomization) * torch.randn(shape, generator=generator)
    patchy = uniform(generator, 0, 0.12 * randomization) * patches
    grainy = uniform(generator, 0, 0.12 * randomization) * smooth_noise(shape, 4, generator)[0]
    return (image * (1 + texture + patchy + grainy)).clamp(min=0)


def _draw_looks(generator: torch.Generator, randomization: float) -> Tensor:
    """Draw the intensity of each label and of the dura, in two of three heads near those of a known sequence."""
    names = sorted(_LOOKS)
    known = names[int(torch.randint(len(names), (), generator=generator))]
    if chance(generator, 0.65):
        looks = torch.tensor(_LOOKS[known])
        looks[2:] += 0.12 * randomization * torch.randn(len(looks) - 2, generator=generator)
        if chance(generator, 0.25):  # fat suppressed
            looks[3:6:2] *= uniform(generator, 0.1, 0.5)
    else:
        looks = torch.rand(14, generator=generator)
        looks[:2] = 0.0 if chance(generator, 0.8) else uniform(generator, 0, 0.4)
        if chance(generator, 0.7):
            looks[_OUTER_FLUID] = looks[_FLUID]
    return looks.clamp(min=0)


def _with_lesion(image: Tensor, brain: Tensor, generator: torch.Generator, spacing: float) -> Tensor:
    """Add a tumor, its edema or a cavity of any intensity, inside the brain and up to its surface."""
    inside = brain.nonzero()
    if not len(inside):
        return image
    center = inside[int(torch.randint(len(inside), (), generator=generator))]
    shape: Shape = tuple(image.shape)  # type: ignore[assignment]
    distance = _distance(shape, center, generator) * spacing
    distance = distance + 5 * smooth_noise(shape, 15 / spacing, generator)[0]
    radius = uniform(generator, 4, 30)
    shares = (1.0, uniform(generator, 0.4, 0.9), uniform(generator, 0.2, 0.6))
    for share in shares[: int(torch.randint(1, 4, (), generator=generator))]:
        weight = ((radius * share - distance) / spacing).clamp(0, 1) * brain
        image = image.lerp(torch.tensor(uniform(generator, 0, 1.4)), weight * uniform(generator, 0.5, 1))
    return image


def _with_swelling(image: Tensor, outside: Tensor, generator: torch.Generator, spacing: float) -> Tensor:
    """Add a blob of another intensity outside the brain: a craniotomy, fluid under the skull, a bright sinus."""
    near = ((outside > 0) & (outside < 20)).nonzero()
    if not len(near):
        return image
    center = near[int(torch.randint(len(near), (), generator=generator))]
    distance = _distance(tuple(image.shape), center, generator) * spacing  # type: ignore[arg-type]
    weight = ((uniform(generator, 6, 30) - distance) / spacing).clamp(0, 1) * (outside > 0.5)
    return image.lerp(torch.tensor(uniform(generator, 0, 1.2)), weight)


def _distance(shape: Shape, center: Tensor, generator: torch.Generator) -> Tensor:
    """Return the distance from a voxel, in voxels, with each axis stretched at random by a factor of up to 1.5."""
    z, y, x = (
        ((torch.arange(n) - c) * math.exp(uniform(generator, -0.4, 0.4))) ** 2
        for n, c in zip(shape, center, strict=True)
    )
    return (z[:, None, None] + y[:, None] + x).sqrt()


def _acquired(image: Tensor, generator: torch.Generator, spacing: float, randomization: float) -> Tensor:
    """Apply artifacts of scanners: blur, thick slices, ghosts, bias field, gamma, noise."""
    shape: Shape = tuple(image.shape)  # type: ignore[assignment]
    image = blurred(image, uniform(generator, 0, 2.5 * randomization) / spacing)
    if chance(generator, 0.6):
        axis = int(torch.randint(3, (), generator=generator)) if chance(generator, 0.4) else 0
        slices = list(shape)
        slices[axis] = max(2, round(shape[axis] * spacing / uniform(generator, 3, 3 + 4 * randomization)))
        image = resized(F.interpolate(image[None, None], size=slices, mode="area")[0], shape)[0]
    if chance(generator, 0.15):
        along = int(torch.randint(1, 3, (), generator=generator))
        offset = round(shape[along] * uniform(generator, 0.05, 0.5))
        image = image + uniform(generator, 0.02, 0.15) * image.roll(offset, along)
    field = smooth_noise(shape, uniform(generator, 60, 160) / spacing, generator)[0].clamp(-2, 2)
    image = image * (uniform(generator, 0, 0.4 * randomization) * field).exp()
    image = image.clamp(min=0).pow(math.exp(uniform(generator, -0.4, 0.4) * randomization))
    noise = 0.003 * 20 ** uniform(generator, 0, 1) * randomization
    real, imaginary = torch.randn((2, *shape), generator=generator).mul_(noise)
    return torch.hypot(image + real, imaginary)


def _field_of_view(brain: Tensor, outside: Tensor, generator: torch.Generator, spacing: float) -> Tensor:
    """Draw the field of view, (D, H, W): often without neck, sometimes without top, sides, face or scalp."""
    seen = torch.ones_like(brain)
    inside = brain.nonzero()
    if not len(inside):
        return seen
    low, high = inside.amin(0).tolist(), (inside.amax(0) + 1).tolist()

    def voxels(low_mm: float, high_mm: float) -> int:
        return round(uniform(generator, low_mm, high_mm) / spacing)

    if chance(generator, 0.7):
        seen[: max(0, low[0] - voxels(-12, 50))] = False
    if chance(generator, 0.3):
        seen[high[0] + voxels(-10, 20) :] = False
    for axis in (1, 2):
        if chance(generator, 0.2):
            seen.narrow(axis, 0, max(0, low[axis] - voxels(-2, 25))).zero_()
        if chance(generator, 0.2):
            end = min(high[axis] + voxels(-2, 25), brain.shape[axis])
            seen.narrow(axis, end, brain.shape[axis] - end).zero_()
    if chance(generator, 0.12):  # defaced
        z, y, _ = (torch.arange(n) - (a + b) / 2 for n, a, b in zip(seen.shape, low, high, strict=True))
        plane = 0.6 * z[:, None] + y + uniform(generator, 75, 110) / spacing
        seen &= (plane > 0)[:, :, None] | (outside < 8)
    if chance(generator, 0.06):  # already stripped, roughly
        seen &= outside < uniform(generator, 1, 12)
    return seen
