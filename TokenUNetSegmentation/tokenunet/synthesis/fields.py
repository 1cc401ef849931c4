"""Random numbers and random smooth fields, all from one seeded `torch.Generator`."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

Shape = tuple[int, int, int]


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """One number, evenly distributed between ``low`` and ``high``."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def chance(generator: torch.Generator, probability: float) -> bool:
    """True with that probability."""
    return float(torch.rand((), generator=generator)) < probability


def fresh_seed(generator: torch.Generator) -> int:
    """A seed for a generator of its own, so that one part's draws do not move another's."""
    return int(torch.randint(2**31 - 1, (), generator=generator))


def seeded(seed: int) -> torch.Generator:
    """A CPU generator with that seed."""
    return torch.Generator().manual_seed(seed)


def smooth_noise(shape: Shape, scale: float, generator: torch.Generator, fields: int = 1) -> Tensor:
    """Noise of mean 0 and standard deviation near 1 whose features are about ``scale`` voxels wide.

    Returns:
        (fields, D, H, W), random values on a coarse grid with linear interpolation between.
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
    """(..., D, H, W) smoothed with a Gaussian of ``sigma`` voxels; zero is assumed beyond the border."""
    if sigma < 0.2:
        return x
    radius = max(1, math.ceil(2.5 * sigma))
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    for axis in (-3, -2, -1):
        n = x.shape[axis]
        y = x * (weights[0] / total)
        # Shifted additions run several times faster than a convolution with one channel.
        for offset, weight in enumerate(weights[1:], start=1):
            if offset >= n:
                break
            y.narrow(axis, offset, n - offset).add_(x.narrow(axis, 0, n - offset), alpha=weight / total)
            y.narrow(axis, 0, n - offset).add_(x.narrow(axis, offset, n - offset), alpha=weight / total)
        x = y
    return x


def resized(x: Tensor, shape: Shape) -> Tensor:
    """(C, D, H, W) interpolated to another shape over the same extent."""
    if tuple(x.shape[1:]) == shape:
        return x
    return F.interpolate(x[None], size=shape, mode="trilinear", align_corners=False)[0]
