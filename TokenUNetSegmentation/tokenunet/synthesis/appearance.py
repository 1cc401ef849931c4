"""Intensity statistics of a patient, by which synthetic patients are compared with real ones."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.core.sequences import SEQUENCES

_LEAST_ML = 0.3
"""Smallest volume of a tumor part for which statistics are computed, in ml."""


def appearance(image: NDArray[np.float32], labels: NDArray[np.uint8], spacing: float) -> dict[str, float]:
    """Compute the intensity statistics of one patient by name; those of absent parts are omitted.

    ``A-B_S`` is the difference of the medians of A and B in sequence S, ``P_S_sd`` the spread within a part,
    ``p001_S`` and ``p999_S`` the brain's 0.1 and 99.9 percentiles, ``corrz_S`` the correlation of neighboring axial
    slices, all of z-scores.

    Args:
        image: Z-scores inside the brain, 0 outside, (4, D, H, W) in the order of `SEQUENCES`.
        labels: Exclusive labels, (D, H, W).
        spacing: Voxel size, in mm.
    """
    brain = (image != 0).any(axis=0)
    voxel_ml = spacing**3 / 1000
    volumes = {"WT_ml": float((labels > 0).sum() * voxel_ml)}
    figures = dict(volumes)
    if volumes["WT_ml"] > 0:
        figures["TC/WT"] = float(((labels == NCR) | (labels == ET_LABEL)).sum() / (labels > 0).sum())
    parts = {"ED": labels == ED, "NCR": labels == NCR, "ET": labels == ET_LABEL}
    parts = {name: mask for name, mask in parts.items() if mask.sum() * voxel_ml > _LEAST_ML}
    parts["WM"] = _white_matter(image[0], brain & (labels == 0))
    inner = ndimage.binary_erosion(brain, iterations=2)
    for sequence, channel in zip(SEQUENCES, image.astype(np.float32), strict=True):
        values = channel[brain]
        figures[f"p001_{sequence}"], figures[f"p999_{sequence}"] = np.percentile(values, (0.1, 99.9))
        figures[f"corrz_{sequence}"] = _correlation(channel, inner)
        medians = {name: float(np.median(channel[mask])) for name, mask in parts.items()}
        figures[f"WM_{sequence}"] = medians["WM"]
        for one, other in (("ED", "WM"), ("NCR", "WM"), ("ET", "WM"), ("NCR", "ED"), ("ET", "ED")):
            if one in medians and other in medians:
                figures[f"{one}-{other}_{sequence}"] = medians[one] - medians[other]
        figures |= {f"{name}_{sequence}_sd": float(channel[m].std()) for name, m in parts.items() if name != "WM"}
    return figures


def _white_matter(t1: NDArray[np.float32], healthy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the brighter third of the healthy brain in T1 without its brightest voxels, which are vessels and fat."""
    low, high = np.percentile(t1[healthy], (62, 96))
    return healthy & (t1 > low) & (t1 < high)


def _correlation(channel: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Return the correlation between neighboring slices after subtracting the mean of 5 x 5 voxels in plane."""
    pair = inside[1:] & inside[:-1]
    fine = channel - ndimage.uniform_filter(channel, (1, 5, 5))
    return float(np.corrcoef(fine[1:][pair], fine[:-1][pair])[0, 1])
