"""Transfer of real tumors from one patient to another, as in CarveMix and TumorCP."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labeled = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Image (C, D, H, W) of z-scores, 0 outside the brain, and exclusive labels (D, H, W)."""

_MARGIN_MM = (2.0, 8.0)
"""Range of the width in mm over which the tumor's surroundings fade into the host."""
_RIM_MM = 8.0
"""Thickness in mm of the shell around the tumor whose brightness is matched to the host's."""
_MOST_OFFSET = 0.6
_SHIFT_VOXELS = 7
_LEAST_KEPT = 0.6
"""Smallest share of the tumor that must be inside the host's brain."""


def carve(donor: Labeled, host: Labeled, spacing: float, random: np.random.Generator) -> Labeled:
    """Insert the donor's tumor into the host at about the same place, with blended borders.

    The donor may be mirrored and is moved by up to a centimeter.

    Args:
        donor: Patient with the tumor.
        host: Patient who receives it, with or without a tumor of their own.
        spacing: Voxel size of both in mm.
        random: Source of randomness.

    Returns:
        Image and labels of the host with the tumor; unchanged if too much of the tumor would be outside the brain.
    """
    image, labels = host
    brain = (image != 0).any(axis=0)
    pixels, tumor = donor
    if random.random() < 0.5:
        pixels, tumor = pixels[..., ::-1], tumor[..., ::-1]
    offsets = _center(brain) - _center((pixels != 0).any(axis=0)) + random.uniform(-_SHIFT_VOXELS, _SHIFT_VOXELS, 3)
    shift = [round(float(offset)) for offset in offsets]
    pixels, moved = _placed(pixels, brain.shape, shift), _placed(tumor, brain.shape, shift)
    shared = (pixels != 0).any(axis=0) & brain
    inside = (moved > 0) & shared
    if inside.sum() < _LEAST_KEPT * max(1, int((tumor > 0).sum())):
        return image.copy(), labels.copy()
    distance = ndimage.distance_transform_edt(~inside) * spacing
    margin = random.uniform(*_MARGIN_MM)
    weight = np.clip(1 - (distance - 0.3 * margin) / (0.7 * margin), 0, 1) * shared
    weight[inside] = 1
    rim = (distance > margin) & (distance < margin + _RIM_MM) & shared & (labels == 0)
    result = image.copy()
    for channel, source in zip(result, pixels, strict=True):
        offset = float(np.median(channel[rim]) - np.median(source[rim])) if rim.sum() > 200 else 0.0
        channel += weight * (source + np.clip(offset, -_MOST_OFFSET, _MOST_OFFSET) - channel)
    return result * brain, np.where(weight > 0.5, moved, labels).astype(np.uint8)


def _center(brain: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the middle of the brain's bounding box, in voxels."""
    return np.array([(box.start + box.stop - 1) / 2 for box in ndimage.find_objects(brain.astype(np.uint8))[0]])


def _placed(volume: NDArray, shape: tuple[int, ...], shift: Sequence[int]) -> NDArray:
    """Shift a volume (..., D, H, W) by whole voxels into another shape, padded with zeros."""
    result = np.zeros((*volume.shape[:-3], *shape), volume.dtype)
    source: list[Any] = [...]
    target: list[Any] = [...]
    for size, extent, offset in zip(volume.shape[-3:], shape, shift, strict=True):
        low, high = max(0, -offset), max(0, min(size, extent - offset))
        source.append(slice(low, max(low, high)))
        target.append(slice(low + offset, max(low, high) + offset))
    result[tuple(target)] = volume[tuple(source)]
    return result
