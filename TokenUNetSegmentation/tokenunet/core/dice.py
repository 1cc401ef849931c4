"""Dice's coefficient with BraTS's rule for empty regions."""

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.regions import REGIONS, regions_from_labels


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum of sizes; 1 where both are empty, 0 where only one is."""
    sizes = int(prediction.sum()) + int(truth.sum())
    return 1.0 if sizes == 0 else 2 * int((prediction & truth).sum()) / sizes


def dice_by_region(prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> dict[str, float]:
    """Dice of WT, TC and ET of two label images of one shape."""
    pairs = zip(REGIONS, regions_from_labels(prediction), regions_from_labels(truth), strict=True)
    return {name: dice(p, t) for name, p, t in pairs}
