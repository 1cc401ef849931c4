"""Augmentation of the contrast of tumor parts to each other and to their surroundings."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tokenunet.core.regions import ED, ET_LABEL, NCR
from tokenunet.core.sequences import SEQUENCES

_T1, _T1CE, _FLAIR = (SEQUENCES.index(name) for name in ("T1", "T1ce", "FLAIR"))
_SURROUNDINGS = (3, 11)
"""Range of distances of the healthy tissue that a tumor is compared with, in voxels."""
_LEAST_VOXELS = 300
"""Smallest number of voxels of the surroundings that allows a comparison."""
_FAINT_SHARE = 0.4
_ISOINTENSE_SHARE = 0.42
_OTHER_CORE_SHARE = 0.6
_FAINT_ENHANCEMENT_SHARE = 0.4
_CORE_SHIFTS = ((-0.3, 0.6), (-0.3, 0.6), (-0.9, 0.5), (-0.3, 1.2))
"""Ranges added to a core, in the order of `SEQUENCES`: real ones are often as bright as edema, in FLAIR brighter."""
_LEAST_ENHANCEMENT = 1.0
"""Smallest enhancement that remains, in z-scores above the surroundings; experts rarely outline fainter ones."""


def with_other_contrast(
    image: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.float32]:
    """Brighten, darken or fade the parts of a tumor, keeping their texture and shape.

    These changes are drawn independently: the whole lesion fades toward its surroundings, edema becomes isointense to
    white matter or brighter in T1ce, the core is shifted in every sequence, and enhancement fades. Missing sequences
    stay 0.

    Args:
        image: Z-scores (4, D, H, W) in the order of `SEQUENCES`, 0 outside the brain.
        labels: Exclusive labels, (D, H, W).
        random: Source of randomness.
    """
    box = _around(labels)
    if box is None:
        return image
    pixels, local = image[(slice(None), *box)], labels[box]
    brain = (pixels != 0).any(axis=0)
    distance = ndimage.distance_transform_edt(local == 0)
    surroundings = (distance > _SURROUNDINGS[0]) & (distance < _SURROUNDINGS[1]) & brain
    if surroundings.sum() < _LEAST_VOXELS:
        return image
    healthy = np.median(pixels[:, surroundings], axis=1)
    width = random.uniform(0.5, 1.1)  # of the borders, in voxels
    share = {part: ndimage.gaussian_filter((local == part).astype(np.float32), width) for part in (NCR, ED, ET_LABEL)}
    means = {part: pixels[:, local == part].mean(axis=1) for part in share if (local == part).sum() > 20}
    shift, gain = np.zeros_like(pixels), np.zeros_like(pixels)

    if random.random() < _FAINT_SHARE:
        faded = share[ED] + share[NCR] if random.random() < 0.5 else share[ED]
        whole = random.uniform(0.4, 1.2)
        for channel in gain:
            channel += (np.clip(whole * random.uniform(0.85, 1.15), 0.35, 1.3) - 1) * faded
    if ED in means and random.random() < _ISOINTENSE_SHARE:
        white_matter = np.percentile(pixels[:, surroundings], 62, axis=1)
        for channel in (_T1CE, _T1) if random.random() < 0.35 else (_T1CE,):
            missing = max(0.0, white_matter[channel] + random.uniform(-0.15, 0.45) - means[ED][channel])
            shift[channel] += missing * (share[ED] + share[NCR] if random.random() < 0.6 else share[ED])
    if NCR in means and random.random() < _OTHER_CORE_SHARE:
        for channel, limits in zip(shift, _CORE_SHIFTS, strict=True):
            if random.random() < 0.7:
                channel += random.uniform(*limits) * share[NCR]
    if ET_LABEL in means and random.random() < _FAINT_ENHANCEMENT_SHARE:
        height = means[ET_LABEL][_T1CE] - healthy[_T1CE]
        if height > _LEAST_ENHANCEMENT:
            kept = max(random.uniform(0.35, 1.1), _LEAST_ENHANCEMENT / height)
            gain[_T1CE] += (kept - 1) * share[ET_LABEL]
        if random.random() < 0.5:
            shift[_FLAIR] += random.uniform(-0.3, 0.9) * share[ET_LABEL]

    middle = healthy[:, None, None, None]
    present = brain & (pixels != 0).any(axis=(1, 2, 3), keepdims=True)
    result = image.copy()
    result[(slice(None), *box)] = np.where(present, pixels + shift + gain * (pixels - middle), 0)
    return result


def hidden_in_t1ce(
    image: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.float32]:
    """Replace edema, sometimes also the core, by healthy tissue in T1ce and often in T1.

    The tissue is that of the other side of the brain, where it is healthy. The lesion is then visible in T2 and FLAIR
    only, so that a network cannot learn to omit what is invisible in T1ce. Enhancement stays.

    Args:
        image: Z-scores (4, D, H, W) in the order of `SEQUENCES`, 0 outside the brain.
        labels: Exclusive labels, (D, H, W).
        random: Source of randomness.
    """
    brain = (image != 0).any(axis=0)
    hidden = labels == ED
    if random.random() < 0.5:
        hidden |= labels == NCR
    if hidden.sum() < _LEAST_VOXELS / 5:
        return image
    columns = np.flatnonzero(brain.any(axis=(0, 1)))
    mirrored = np.clip(columns[0] + columns[-1] - np.arange(image.shape[-1]), 0, image.shape[-1] - 1)
    healthy = (brain & (labels == 0))[..., mirrored]
    weight = ndimage.gaussian_filter(hidden.astype(np.float32), random.uniform(0.6, 1.2))
    weight *= healthy * brain * (labels != ET_LABEL) * ndimage.gaussian_filter(healthy.astype(np.float32), 0.8)
    result = image.copy()
    for channel in (_T1CE, _T1) if random.random() < 0.45 else (_T1CE,):
        if image[channel].any():
            tissue = image[channel][..., mirrored] + random.uniform(-0.15, 0.3)
            result[channel] += weight * (tissue - image[channel])
    return result


def _around(labels: NDArray[np.uint8]) -> tuple[slice, slice, slice] | None:
    """Return the tumor's bounding box with its surroundings, or None if there is hardly a tumor."""
    if (labels > 0).sum() < _LEAST_VOXELS / 5:
        return None
    (box,) = ndimage.find_objects((labels > 0).astype(np.uint8))
    margin = _SURROUNDINGS[1] + 1
    z, y, x = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return z, y, x
