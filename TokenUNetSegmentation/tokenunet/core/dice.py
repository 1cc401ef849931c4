"""Dice coefficient with BraTS's rule for empty regions."""

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.regions import REGIONS, regions_from_labels


def dice(prediction: NDArray[np.bool_], ground_truth: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two binary masks of one shape.

    Returns:
        Twice the overlap over the sum of sizes; 1 if both masks are empty, 0 if only one is.

    Example:
        >>> import numpy as np
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    sizes = int(prediction.sum()) + int(ground_truth.sum())
    return 1.0 if sizes == 0 else 2 * int((prediction & ground_truth).sum()) / sizes


def dice_by_region(prediction: NDArray[np.integer], ground_truth: NDArray[np.integer]) -> dict[str, float]:
    """Return the Dice coefficients of WT, TC and ET of two label arrays of one shape."""
    pairs = zip(REGIONS, regions_from_labels(prediction), regions_from_labels(ground_truth), strict=True)
    return {name: dice(p, t) for name, p, t in pairs}
