"""Nested tumor regions (WT contains TC contains ET) and BraTS's exclusive labels."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

RegionName = Literal["WT", "TC", "ET"]
REGIONS: tuple[RegionName, ...] = get_args(RegionName)

REGION_TITLES: dict[RegionName, str] = {"WT": "whole tumor", "TC": "tumor core", "ET": "enhancing tumor"}

NCR, ED = 1, 2
"""Necrotic or non-enhancing core; edema and infiltration."""
ET_LABEL = 4
ET_LABEL_BRATS2023 = 3


def labels_from_regions(regions: NDArray[np.bool_], et_label: int = ET_LABEL) -> NDArray[np.uint8]:
    """Exclusive labels from nested regions.

    Args:
        regions: (3, ...) in the order of `REGIONS`; what lies in ET or TC counts as part of WT too.
        et_label: 4, or 3 as BraTS writes since 2023.

    Returns:
        (...) with 0, 1 (NCR), 2 (ED) and ``et_label``.
    """
    whole, core, enhancing = regions
    labels = np.zeros(whole.shape, np.uint8)
    labels[whole] = ED
    labels[core] = NCR
    labels[enhancing] = et_label
    return labels


def regions_from_labels(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Nested regions (3, ...) in the order of `REGIONS` from exclusive labels; ET may be 3 or 4."""
    enhancing = (labels == ET_LABEL) | (labels == ET_LABEL_BRATS2023)
    core = enhancing | (labels == NCR)
    return np.stack([core | (labels == ED), core, enhancing])
