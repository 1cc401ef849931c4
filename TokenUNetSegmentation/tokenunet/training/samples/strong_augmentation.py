"""Strong augmentation for a handful of real patients: shape, contrast, acquisition and missing sequences."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.fields import blurred, seeded, smooth_noise

_MISSING: dict[tuple[SequenceName, ...], float] = {
    ("FLAIR",): 0.10,
    ("T1ce",): 0.12,
    ("T2",): 0.04,
    ("T1",): 0.03,
    ("T1", "FLAIR"): 0.05,
    ("T1", "T2"): 0.03,
    ("T2", "FLAIR"): 0.05,
    ("T1", "T1ce"): 0.02,
}
"""Probabilities of missing sequences; what costs most is missing most often."""
_BLACK = 3.5
"""Approximate distance of black from the mean of a brain, in standard deviations."""
_KNOTS = np.linspace(-3, 4, 8)


def deformed(image: Tensor, regions: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rotate by up to 20 degrees, scale by up to a quarter and, mostly, warp smoothly.

    Args:
        image: Image (C, D, H, W), float32, 0 outside the brain.
        regions: Regions (R, D, H, W), uint8.
        random: Source of randomness.

    Returns:
        Deformed image and regions.
    """
    shape: tuple[int, int, int] = tuple(image.shape[1:])  # type: ignore[assignment]
    half = torch.tensor(shape[::-1], dtype=torch.float32) / 2
    scale = np.exp(random.uniform(-0.16, 0.16, 3) + random.uniform(-0.08, 0.08))
    matrix = torch.from_numpy(_rotation(random.uniform(-1, 1, 3) * np.pi / 9) * scale).float()
    matrix = matrix * half / half[:, None]
    grid = F.affine_grid(torch.cat([matrix, torch.zeros(3, 1)], 1)[None], [1, 1, *shape], align_corners=False)
    if random.random() < 0.6:
        warp = smooth_noise(shape, random.uniform(14, 26), _generator(random), 3) * random.uniform(0.5, 2.5)
        grid = grid + (warp / half.view(3, 1, 1, 1)).permute(1, 2, 3, 0)[None]
    brain = (image != 0).any(0)[None, None].float()
    inside = F.grid_sample(brain, grid, mode="nearest", align_corners=False)[0] > 0
    moved = F.grid_sample(image[None], grid, align_corners=False)[0] * inside
    return moved, (F.grid_sample(regions[None].float(), grid, align_corners=False)[0] > 0.5).byte()


def recolored(image: Tensor, random: np.random.Generator, strength: float = 1.0) -> Tensor:
    """Change contrast, blur, slice thickness, bias field and noise, as between scanners.

    Args:
        image: Z-scores (C, D, H, W), 0 outside the brain.
        random: Source of randomness.
        strength: Factor on the probability of each change; synthetic patients, which vary already, need little.
    """
    brain = (image != 0).any(0)
    shape: tuple[int, int, int] = tuple(image.shape[1:])  # type: ignore[assignment]
    generator = _generator(random)
    shared = smooth_noise(shape, 50, generator)[0]
    result = []
    for channel in image:
        if random.random() < 0.5 * strength:
            channel = _with_other_tissues(channel, random)
        if random.random() < 0.5 * strength:
            low, high = channel[brain].min(), channel[brain].max()
            level = ((channel - low) / (high - low + 1e-5)).clamp(0, 1)
            channel = level.pow(float(np.exp(random.uniform(-0.35, 0.35)))) * (high - low) + low
        if random.random() < 0.35:
            channel = blurred(channel[None], random.uniform(0.2, 0.7))[0]
        if random.random() < 0.3 * strength:
            channel = _with_thick_slices(channel, random)
        if random.random() < 0.5:
            field = 0.6 * smooth_noise(shape, 50, generator)[0] + 0.4 * shared
            channel = (channel + _BLACK) * (random.uniform(0, 0.15) * field.clamp(-2, 2)).exp() - _BLACK
        if random.random() < 0.35:
            channel = channel + torch.randn(shape, generator=generator) * random.uniform(0.02, 0.25)
        result.append(channel * brain)
    return _normalized(torch.stack(result), brain)


def shaded(image: Tensor, random: np.random.Generator) -> Tensor:
    """Apply strong coil profiles, smooth or growing outward, to a quarter of the channels of z-scores (C, D, H, W)."""
    brain = (image != 0).any(0)
    shape: tuple[int, int, int] = tuple(image.shape[1:])  # type: ignore[assignment]
    axes = torch.meshgrid(*[torch.linspace(-1, 1, size) for size in shape], indexing="ij")
    outward = sum(axis**2 for axis in axes)
    assert isinstance(outward, Tensor)
    outward = (outward - outward[brain].mean()) / outward[brain].std()
    result = image.clone()
    for channel in result:
        if random.random() < 0.25 and channel.any():
            smooth = smooth_noise(shape, random.uniform(30, 55), _generator(random))[0]
            field = smooth if random.random() < 0.6 else outward * (1 if random.random() < 0.75 else -1)
            profile = (random.uniform(0.05, 0.22) * field.clamp(-2, 2)).exp()
            channel[brain] = ((channel + _BLACK) * profile - _BLACK)[brain]
    return result


def rescaled(image: Tensor, random: np.random.Generator) -> Tensor:
    """Rescale z-scores (C, D, H, W) as if another part of the head, such as a large tumor, had been normalized, too."""
    brain = (image != 0).any(0)
    factor, offset = random.uniform(0.87, 1.13, len(image)), random.uniform(-0.2, 0.2, len(image))
    changed = image * torch.from_numpy(factor).float().view(-1, 1, 1, 1) + torch.from_numpy(offset).float().view(
        -1, 1, 1, 1
    )
    present = brain & (image != 0).flatten(1).any(1).view(-1, 1, 1, 1)
    return torch.where(present, changed, 0.0)


def without_some(image: Tensor, random: np.random.Generator) -> Tensor:
    """Set up to two sequences of an image (C, D, H, W), in the order of `SEQUENCES`, to 0.

    FLAIR is often removed because tumors are easily lost without it, and T1ce so that a network relies on the others
    where edema is isointense in T1ce.
    """
    sets = [(), *_MISSING]
    chances = [1 - sum(_MISSING.values()), *_MISSING.values()]
    image = image.clone()
    for name in sets[random.choice(len(sets), p=chances)]:
        image[SEQUENCES.index(name)] = 0
    return image


def _generator(random: np.random.Generator) -> torch.Generator:
    return seeded(int(random.integers(2**31)))


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Return the product of the rotations about the three axes, in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _with_other_tissues(channel: Tensor, random: np.random.Generator) -> Tensor:
    """Map z-scores through a random monotonic curve, which changes the contrast between tissues."""
    slopes = np.exp(random.uniform(-0.5, 0.5, len(_KNOTS)))
    heights = np.concatenate([[0.0], np.cumsum((slopes[1:] + slopes[:-1]) / 2)])
    inside = np.interp(channel.numpy(), _KNOTS, heights).astype(np.float32)
    beyond = (channel - _KNOTS[-1]).clamp(min=0) + (channel - _KNOTS[0]).clamp(max=0)
    return torch.from_numpy(inside) + beyond.float()


def _with_thick_slices(channel: Tensor, random: np.random.Generator) -> Tensor:
    """Average a channel (D, H, W) over two to four slices along one axis, mostly the first, and interpolate."""
    size = list(channel.shape)
    axis = 0 if random.random() < 0.7 else int(random.integers(3))
    size[axis] = max(4, round(size[axis] / random.uniform(1.9, 4.4)))
    slices = F.interpolate(channel[None, None], size=size, mode="area")
    return F.interpolate(slices, size=list(channel.shape), mode="trilinear", align_corners=False)[0, 0]


def _normalized(image: Tensor, brain: Tensor) -> Tensor:
    """Normalize every channel to zero mean and unit variance inside the brain; missing ones stay 0."""
    values = image[:, brain]
    deviation = values.std(dim=1, keepdim=True)
    present = deviation[:, 0] > 1e-4
    values = (values - values.mean(dim=1, keepdim=True)) / deviation.clamp(min=1e-3)
    result = torch.zeros_like(image)
    result[:, brain] = torch.where(present[:, None], values.clamp(-12, 15), 0.0)
    return result
