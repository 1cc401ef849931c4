"""Augmentation of tumor cores: without enhancement, and with the contrasts to edema that real cores have."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.core.sequences import SEQUENCES
from tokenunet.training.samples.carving import Labeled

_T1, _T1CE = SEQUENCES.index("T1"), SEQUENCES.index("T1ce")
_MARGIN = 12
"""Width of the surroundings that show how T1ce follows from T1, in voxels."""
_LEAST_HEALTHY, _LEAST_EDEMA, _LEAST_CORE, _LEAST_ENHANCING = 500, 200, 60, 20
"""Smallest numbers of voxels that allow a comparison."""
_PATCHY_SHARE = 0.3
_VESSELS = 3.0
"""Brightest z-score of T1ce that counts for healthy tissue; vessels are brighter."""
_CONTRASTS = np.array(
    [
        (-0.9, -0.7, 1.0, -0.9),  # liquid necrosis
        (-0.3, -0.4, 0.9, 0.6),  # median of real patients
        (0.2, 0.1, -0.4, 0.1),  # solid
        (0.0, -0.1, 0.1, 0.9),  # visible in FLAIR alone
        (-0.5, -0.2, 0.2, 0.5),
    ]
)
"""Mean of cores minus that of edema in z-scores, in the order of `SEQUENCES`."""


def without_enhancement(image: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator) -> Labeled:
    """Take the contrast agent out of a tumor, or of patches of it, so that its core must be found without.

    Around the core T1ce becomes what T1 predicts, as fitted in the healthy tissue nearby, and enhancing tumor becomes
    core. A tumor without enhancement, or without T1 or T1ce, is returned unchanged.

    Args:
        image: Z-scores (4, D, H, W) in the order of `SEQUENCES`, 0 outside the brain.
        labels: Exclusive labels, (D, H, W).
        random: Source of randomness.
    """
    if (labels == ET_LABEL).sum() < _LEAST_ENHANCING or not (image[_T1].any() and image[_T1CE].any()):
        return image, labels
    (tumor,) = ndimage.find_objects((labels > 0).astype(np.uint8))
    box = tuple(slice(max(0, side.start - _MARGIN), side.stop + _MARGIN) for side in tumor)
    t1, t1ce, local = image[_T1][box], image[_T1CE][box], labels[box]
    brain = (image[(slice(None), *box)] != 0).any(axis=0)
    healthy = brain & (local == 0)
    if healthy.sum() < _LEAST_HEALTHY:
        return image, labels
    slope, offset = np.polyfit(t1[healthy], np.minimum(t1ce[healthy], _VESSELS), 1)
    core = ndimage.binary_dilation((local == NCR) | (local == ET_LABEL), iterations=2) & brain
    weight = ndimage.gaussian_filter(core.astype(np.float32), 0.8)
    if random.random() < _PATCHY_SHARE:
        noise = ndimage.gaussian_filter(random.standard_normal(local.shape, np.float32), random.uniform(3, 6))
        steep = 5 * (noise / noise.std() - random.uniform(-0.6, 0.4))
        weight *= 1 / (1 + np.exp(-np.clip(steep, -20, 20)))
    plain = slope * t1 + offset
    plain += random.uniform(0, 0.15) * np.maximum(t1ce - plain, 0) + random.uniform(-0.15, 0.15)
    image, labels = image.copy(), labels.copy()
    image[_T1CE][box] = np.where(brain, t1ce + weight * np.minimum(plain - t1ce, 0), 0)
    labels[box][(local == ET_LABEL) & (weight > 0.5)] = NCR
    return image, labels


def with_drawn_core(
    image: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.float32]:
    """Give the core a contrast to edema that is drawn for all sequences together, between two of real kinds.

    Texture and shape stay, and missing sequences stay 0. A tumor without edema or core is returned unchanged.

    Args:
        image: Z-scores (4, D, H, W) in the order of `SEQUENCES`, 0 outside the brain.
        labels: Exclusive labels, (D, H, W).
        random: Source of randomness.
    """
    edema, core = labels == ED, labels == NCR
    if edema.sum() < _LEAST_EDEMA or core.sum() < _LEAST_CORE:
        return image
    first, second = _CONTRASTS[random.integers(len(_CONTRASTS), size=2)]
    mixed = first + random.random() * (second - first)
    wanted = mixed * random.uniform(0.5, 1.3) + random.normal(0, 0.12, len(mixed))
    present = image[:, core].mean(axis=1) - image[:, edema].mean(axis=1)
    shift = (wanted - present) * random.uniform(0.6, 1.0) * (image != 0).any(axis=(1, 2, 3))
    share = ndimage.gaussian_filter(core.astype(np.float32), random.uniform(0.5, 1.1))
    brain = (image != 0).any(axis=0)
    return np.where(brain, image + shift[:, None, None, None] * share, 0).astype(np.float32)
