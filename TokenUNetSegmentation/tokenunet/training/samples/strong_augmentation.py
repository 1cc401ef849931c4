"""Augmentation strong enough for a handful of real patients: shapes, contrasts, acquisition, missing sequences."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.synthesis.fields import blurred, seeded, smooth_noise

_DROPPED_PAIRS: tuple[tuple[SequenceName, SequenceName], ...] = (
    ("T1", "T1ce"),
    ("T1", "T2"),
    ("T1", "FLAIR"),
    ("T1ce", "T2"),
    ("T1ce", "FLAIR"),
)
"""Sequences that may be missing together; without T2 and FLAIR no edema can be seen."""
_KNOTS = np.linspace(-3, 4, 8)


def deformed(image: Tensor, regions: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return both turned by up to 20 degrees, scaled by up to a quarter and, mostly, warped smoothly.

    Args:
        image: Float32 (C, D, H, W), 0 outside the brain.
        regions: Uint8 (R, D, H, W).
        random: Source of randomness.
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
    """Return what another scanner might have made of (C, D, H, W): contrast, blur, thick slices, bias field, noise.

    Args:
        image: Z-scores, 0 outside the brain.
        random: Source of randomness.
        strength: Factor on how often each is done; patients that are made with all of this need little.
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
            # The mean of a brain is three to four standard deviations above black.
            channel = (channel + 3.5) * (random.uniform(0, 0.15) * field.clamp(-2, 2)).exp() - 3.5
        if random.random() < 0.35:
            channel = channel + torch.randn(shape, generator=generator) * random.uniform(0.02, 0.25)
        result.append(channel * brain)
    return _normalized(torch.stack(result), brain)


def without_some(image: Tensor, random: np.random.Generator, one: float = 0.25, two: float = 0.06) -> Tensor:
    """Return (C, D, H, W) with one or two sequences missing, which are 0 then.

    Args:
        image: In the order of `SEQUENCES`.
        random: Source of randomness.
        one: Probability that one is missing.
        two: Probability that two are missing.
    """
    image, drawn = image.clone(), random.random()
    if drawn < two:
        for name in _DROPPED_PAIRS[int(random.integers(len(_DROPPED_PAIRS)))]:
            image[SEQUENCES.index(name)] = 0
    elif drawn < one + two:
        image[int(random.integers(len(image)))] = 0
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
    """Return z-scores through a random rising curve, which changes every tissue's contrast to the next."""
    slopes = np.exp(random.uniform(-0.5, 0.5, len(_KNOTS)))
    heights = np.concatenate([[0.0], np.cumsum((slopes[1:] + slopes[:-1]) / 2)])
    inside = np.interp(channel.numpy(), _KNOTS, heights).astype(np.float32)
    beyond = (channel - _KNOTS[-1]).clamp(min=0) + (channel - _KNOTS[0]).clamp(max=0)
    return torch.from_numpy(inside) + beyond.float()


def _with_thick_slices(channel: Tensor, random: np.random.Generator) -> Tensor:
    """Return (D, H, W) averaged over two to four neighbors along one axis, mostly the first, and interpolated."""
    size = list(channel.shape)
    axis = 0 if random.random() < 0.7 else int(random.integers(3))
    size[axis] = max(4, round(size[axis] / random.uniform(1.9, 4.4)))
    slices = F.interpolate(channel[None, None], size=size, mode="area")
    return F.interpolate(slices, size=list(channel.shape), mode="trilinear", align_corners=False)[0, 0]


def _normalized(image: Tensor, brain: Tensor) -> Tensor:
    """Return every channel with zero mean and unit variance inside the brain; those that are missing stay 0."""
    values = image[:, brain]
    deviation = values.std(dim=1, keepdim=True)
    present = deviation[:, 0] > 1e-4
    values = (values - values.mean(dim=1, keepdim=True)) / deviation.clamp(min=1e-3)
    result = torch.zeros_like(image)
    result[:, brain] = torch.where(present[:, None], values.clamp(-12, 15), 0.0)
    return result
