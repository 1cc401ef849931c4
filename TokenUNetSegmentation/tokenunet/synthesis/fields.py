"""Random numbers and smooth random fields from a seeded `torch.Generator`."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

Shape = tuple[int, int, int]


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """Draw a number that is uniformly distributed between ``low`` and ``high``."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def chance(generator: torch.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return float(torch.rand((), generator=generator)) < probability


def fresh_seed(generator: torch.Generator) -> int:
    """Draw a seed for another generator, so that the draws of one part do not change those of others."""
    return int(torch.randint(2**31 - 1, (), generator=generator))


def seeded(seed: int) -> torch.Generator:
    """Create a CPU generator with the given seed."""
    return torch.Generator().manual_seed(seed)


def smooth_noise(shape: Shape, scale: float, generator: torch.Generator, fields: int = 1) -> Tensor:
    """Draw noise of mean 0 and standard deviation near 1: random values on a coarse grid, linearly interpolated.

    Args:
        shape: Number of voxels, (D, H, W).
        scale: Width of the features, in voxels.
        generator: Source of randomness.
        fields: Number of independent fields.

    Returns:
        Noise (fields, D, H, W).
    """
    if scale <= 1:
        return torch.randn((fields, *shape), generator=generator)
    coarse = [math.ceil(n / scale) + 1 for n in shape]
    # Interpolation shrinks the variance to (2/3)^3 on average.
    values = torch.randn((1, fields, *coarse), generator=generator) * 1.8
    fine = [round((c - 1) * scale) + 1 for c in coarse]
    noise = F.interpolate(values, size=fine, mode="trilinear", align_corners=True)[0]
    return noise[:, : shape[0], : shape[1], : shape[2]]


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Smooth with a Gaussian; values beyond the border count as zero.

    Args:
        x: Maps (..., D, H, W).
        sigma: Standard deviation, in voxels; below 0.2 nothing is done.
    """
    if sigma < 0.2:
        return x
    radius = max(1, math.ceil(2.5 * sigma))
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    for axis in (-3, -2, -1):
        n = x.shape[axis]
        y = x * (weights[0] / total)
        # Shifted additions are several times faster than a convolution with one channel.
        for offset, weight in enumerate(weights[1:], start=1):
            if offset >= n:
                break
            y.narrow(axis, offset, n - offset).add_(x.narrow(axis, 0, n - offset), alpha=weight / total)
            y.narrow(axis, 0, n - offset).add_(x.narrow(axis, offset, n - offset), alpha=weight / total)
        x = y
    return x


def resized(x: Tensor, shape: Shape) -> Tensor:
    """Interpolate maps (C, D, H, W) trilinearly to another shape over the same extent."""
    if tuple(x.shape[1:]) == shape:
        return x
    return F.interpolate(x[None], size=shape, mode="trilinear", align_corners=False)[0]
