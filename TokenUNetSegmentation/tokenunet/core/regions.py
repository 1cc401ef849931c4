"""Nested tumor regions (WT ⊇ TC ⊇ ET) and BraTS's exclusive labels."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

RegionName = Literal["WT", "TC", "ET"]
REGIONS: tuple[RegionName, ...] = get_args(RegionName)

REGION_TITLES: dict[RegionName, str] = {"WT": "whole tumor", "TC": "tumor core", "ET": "enhancing tumor"}

NCR, ED = 1, 2
"""Labels of necrotic or non-enhancing core, and of edema and infiltration."""
ET_LABEL = 4
ET_LABEL_BRATS2023 = 3


def labels_from_regions(regions: NDArray[np.bool_], et_label: int = ET_LABEL) -> NDArray[np.uint8]:
    """Convert nested regions to exclusive labels.

    Args:
        regions: Regions (3, ...) in the order of `REGIONS`; voxels in ET or TC count as part of WT, too.
        et_label: Label of enhancing tumor: 4, or 3 as in BraTS since 2023.

    Returns:
        Labels (...): 0, NCR = 1, ED = 2 and ``et_label``.

    Example:
        >>> import numpy as np
        >>> labels_from_regions(np.array([[True, True, True], [False, True, True], [False, False, True]]))
        array([2, 1, 4], dtype=uint8)
    """
    whole, core, enhancing = regions
    labels = np.zeros(whole.shape, np.uint8)
    labels[whole] = ED
    labels[core] = NCR
    labels[enhancing] = et_label
    return labels


def regions_from_labels(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Convert exclusive labels to nested regions.

    Args:
        labels: Labels (...): NCR = 1, ED = 2, ET = 3 or 4.

    Returns:
        Regions (3, ...) in the order of `REGIONS`.

    Example:
        >>> import numpy as np
        >>> regions_from_labels(np.array([0, 2, 4])).astype(int)
        array([[0, 1, 1],
               [0, 0, 1],
               [0, 0, 1]])
    """
    enhancing = (labels == ET_LABEL) | (labels == ET_LABEL_BRATS2023)
    core = enhancing | (labels == NCR)
    return np.stack([core | (labels == ED), core, enhancing])
