"""Coil profiles: brightness that changes smoothly over the whole brain, and how it is evened out."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.core.background import MAD_TO_SD
from tokenunet.core.findings import Finding

_FITTED_VOXELS = 20_000
"""Voxels of the brain to which a profile is fitted; more do not change it."""
_ROUNDS = 5
"""Rounds of the robust fit, in each of which voxels far from the profile, such as a tumor's, count less."""
_LEAST_SPREAD = 1e-6
COIL_PROFILE = Finding(
    "coil_profile",
    "The scans are much brighter at one end of the brain than at the other. This was evened out before the "
    "segmentation. Correct the bias field of the scans (N4) and compare.",
)
"""Warning about scans that were evened out."""


def without_coil_profile(tensor: Tensor, brain: NDArray[np.bool_], limit: float) -> Tensor | None:
    """Even out the scans if a smooth profile explains most of the brightness of each.

    A quadratic function of the position is fitted to each scan inside the brain, robust against voxels that are far
    from it. If it explains more than the limit of the variance of every scan, as with a surface coil without
    correction, it is subtracted, the rest is divided by a spread that grows in one direction, and scaled to unit
    variance again. A large tumor explains less, and not in every scan. Evened scans are not evened out again.

    Args:
        tensor: Z-scores (C, D, H, W); missing channels are 0 everywhere.
        brain: Brain mask (D, H, W).
        limit: Share of the variance, from 0 to 1.

    Returns:
        Evened z-scores; None if the scans need none.
    """
    scans = tensor.numpy()
    present = [channel for channel, scan in enumerate(scans) if scan.any()]
    if not present:
        return None
    inside = np.flatnonzero(brain)
    fitted = inside[:: max(1, len(inside) // _FITTED_VOXELS)]
    terms = _quadratic_terms(fitted, brain.shape)
    fits = {channel: _fit_profile(terms, scans[channel].ravel()[fitted]) for channel in present}
    if min(share for _, _, share in fits.values()) <= limit:
        return None
    terms = _quadratic_terms(inside, brain.shape)
    evened = np.zeros_like(scans)
    for channel, (profile, spread, _) in fits.items():
        rest = (scans[channel].ravel()[inside] - terms @ profile) / np.exp(terms[:, : len(spread)] @ spread)
        evened[channel].ravel()[inside] = (rest - rest.mean()) / max(float(rest.std()), _LEAST_SPREAD)
    return torch.from_numpy(evened)


def _quadratic_terms(voxels: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the terms of a quadratic function (n, 10) at flat indices; the first 4 are the linear ones."""
    indices = np.unravel_index(voxels, shape)
    z, y, x = (2 * index.astype(np.float32) / size - 1 for index, size in zip(indices, shape, strict=True))
    return np.stack([np.ones_like(z), z, y, x, z * z, y * y, x * x, z * y, z * x, y * x], axis=1)


def _fit_profile(
    terms: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return the profile's coefficients, those of the logarithm of the spread, and the share of variance explained."""
    weights: NDArray[np.floating] = np.ones_like(values)
    for _ in range(_ROUNDS):
        profile = _least_squares(terms, values, weights)
        rest = values - terms @ profile
        scale = max(MAD_TO_SD * float(np.median(np.abs(rest))), _LEAST_SPREAD)
        weights = 1 / (1 + np.square(rest / (2 * scale)))
    middle = np.average(values, weights=weights)
    share = 1 - float((weights * rest**2).sum() / max(float((weights * (values - middle) ** 2).sum()), _LEAST_SPREAD))
    magnitude = np.log(np.clip(np.abs(rest), 0.05 * scale, 4 * scale))
    return profile, _least_squares(terms[:, :4], magnitude, np.ones_like(values)), share


def _least_squares(
    terms: NDArray[np.float32], values: NDArray[np.float32], weights: NDArray[np.floating]
) -> NDArray[np.float32]:
    root = np.sqrt(weights)
    return np.linalg.lstsq(terms * root[:, None], values * root, rcond=None)[0].astype(np.float32)
