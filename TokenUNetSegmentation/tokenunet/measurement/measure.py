"""Volumes and lesions of segmented regions, as a run report holds them.

The same function measures a new segmentation and one that was corrected by hand.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS
from tokenunet.measurement.diameters import lesion_diameters

_MEASURED = ("WT", "ET")
"""RANO 2.0 measures lesions in T2 or FLAIR, and enhancing ones."""


def measure(regions: NDArray[np.bool_], grid: Grid, not_segmented: Collection[str] = ()) -> dict[str, Any]:
    """Measure regions.

    Args:
        regions: Nested regions, (3, D, H, W) in the order of `REGIONS`.
        grid: Grid of the regions.
        not_segmented: Regions and labels about which the segmentation says nothing; they are left out.

    Returns:
        ``volumes_ml``, the volumes by region and label in milliliters, and ``lesions``, the diameters of the lesions
        of WT and ET.

    Example:
        >>> import numpy as np
        >>> from tokenunet.core.grid import Grid
        >>> grid = Grid((20, 20, 10), (1, 1, 5), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        >>> regions = np.zeros((3, 10, 20, 20), bool)
        >>> regions[:, 2:4, 5:15, 5:15] = True
        >>> measure(regions, grid)["volumes_ml"]
        {'WT': 1.0, 'TC': 1.0, 'ET': 1.0, 'NCR': 0.0, 'ED': 0.0}
    """
    return {
        "volumes_ml": {name: ml for name, ml in volumes_ml(regions, grid).items() if name not in not_segmented},
        "lesions": {
            name: [lesion.to_json() for lesion in lesion_diameters(region, grid)]
            for name, region in zip(REGIONS, regions, strict=True)
            if name in _MEASURED and name not in not_segmented
        },
    }


def volumes_ml(regions: NDArray[np.bool_], grid: Grid) -> dict[str, float]:
    """Return the volumes of the nested regions, and of what each leaves of the one around it, in milliliters.

    Args:
        regions: Nested regions, (3, D, H, W) in the order of `REGIONS`.
        grid: Grid of the regions.
    """
    whole, core, enhancing = (float(np.count_nonzero(region)) for region in regions)
    counts = {"WT": whole, "TC": core, "ET": enhancing, "NCR": core - enhancing, "ED": whole - core}
    return {name: round(count * grid.voxel_ml, 3) for name, count in counts.items()}
