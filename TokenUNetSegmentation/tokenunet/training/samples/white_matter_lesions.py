"""White-matter lesions other than tumors, as in multiple sclerosis and small vessel disease."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tokenunet.core.sequences import SEQUENCES

_T1, _T2 = SEQUENCES.index("T1"), SEQUENCES.index("T2")
_STRENGTH = ((-1.0, -0.1), (-0.9, -0.1), (0.5, 2.0), (0.8, 2.6))
"""Ranges of the z-scores added at a lesion's center, in the order of `SEQUENCES`."""
_TUMOR_DISTANCE = 5
"""Smallest distance of lesions from a tumor, in voxels."""
_LARGE_SHARE = 0.3
_CONFLUENT_SHARE = 0.3
_LEAST_VOXELS = 50


def with_white_matter_lesions(
    image: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator
) -> NDArray[np.float32]:
    """Add lesions that are bright in T2 and FLAIR, mostly around the ventricles.

    They are negative examples: the labels stay the same. An image whose white matter cannot be found, for example
    because T1 is missing, is returned unchanged.

    Args:
        image: Z-scores (4, D, H, W) in the order of `SEQUENCES`, 0 outside the brain.
        labels: Exclusive labels of a tumor, (D, H, W).
        random: Source of randomness.
    """
    brain = (image != 0).any(axis=0)
    depth = ndimage.distance_transform_edt(brain)
    free = brain & (ndimage.distance_transform_edt(labels == 0) > _TUMOR_DISTANCE) if labels.any() else brain
    ventricles = (image[_T2] > 1.5) & (image[_T1] < -0.8) & (depth > 11) & free
    white_matter = free & (depth > 5) & (image[_T1] > 0.1)
    if white_matter.sum() < _LEAST_VOXELS:
        return image
    near = white_matter
    load = np.zeros(brain.shape, np.float32)
    if ventricles.sum() > _LEAST_VOXELS:
        distance = ndimage.distance_transform_edt(~ventricles)
        if (around := white_matter & (distance < 6)).sum() > _LEAST_VOXELS:
            near = around
        if random.random() < _CONFLUENT_SHARE:
            load = _caps(distance, random) * (image[_T1] > -0.6)
    load = np.maximum(load, _blobs(near, white_matter, random)) * (free & ~ventricles)
    texture = ndimage.gaussian_filter(random.standard_normal(brain.shape, np.float32), 1.0)
    load = np.clip(load * (1 + 0.25 * texture / texture.std()), 0, 1.2)
    strength = random.uniform(0.6, 1.2) * np.array([random.uniform(*limits) for limits in _STRENGTH], np.float32)
    strength *= (image != 0).any(axis=(1, 2, 3))  # nothing appears in missing sequences
    return np.where(brain, image + strength[:, None, None, None] * load, 0).astype(np.float32)


def _caps(distance: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
    """Return confluent lesions of varying thickness along the ventricles, from 0 to 1."""
    bend = ndimage.gaussian_filter(random.standard_normal(distance.shape, np.float32), 5.0)
    thickness = random.uniform(-1.0, 2.5) + random.uniform(1.0, 2.5) * bend / bend.std()
    return _falling(2 * (distance - thickness))


def _blobs(
    near: NDArray[np.bool_], white_matter: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.float32]:
    """Return 2 to 21 ellipsoids from 0 to 1, seven in ten of them centered in `near`."""
    result = np.zeros(near.shape, np.float32)
    size = 0.95 if random.random() < _LARGE_SHARE else 0.55  # logarithm of the mean radius in voxels
    places = np.argwhere(near), np.argwhere(white_matter)
    for _ in range(int(random.integers(2, 22))):
        centers = places[0] if random.random() < 0.7 else places[1]
        center = centers[random.integers(len(centers))]
        radii = np.clip(np.exp(random.normal(size, 0.45, 3)), 0.7, 6.0)
        reach = int(2 * radii.max()) + 2
        low, high = np.maximum(center - reach, 0), np.minimum(center + reach + 1, result.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.ogrid[box]
        squared = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, center, radii, strict=True))
        result[box] = np.maximum(result[box], _falling(3 * (squared - 1)))
    return result


def _falling(value: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the logistic function of -value: 1 far below 0, 0 far above."""
    return (1 / (1 + np.exp(np.clip(value, -20, 20)))).astype(np.float32)
