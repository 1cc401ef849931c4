"""Cavities after surgery, which make volumes before and after it incomparable."""

import numpy as np

from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS
from tokenunet.followup.align import AlignedTimePoint

_LEAST_SHARE, _LEAST_ML = 0.3, 2.0
"""Smallest part of an earlier tumor core that must be free of tumor for a cavity."""
_DARK, _BRIGHT = 10, 90
"""Percentiles of the brain without tumor beyond which fluid is, in T2 the upper one."""


def cavity_finding(earlier: AlignedTimePoint, later: AlignedTimePoint, grid: Grid) -> Finding | None:
    """Return the warning about fluid in place of an earlier tumor core; None if there is none.

    Args:
        earlier: Earlier time point.
        later: Later time point.
        grid: Grid of the first time point of all, on which both are.
    """
    core = earlier.regions[REGIONS.index("TC")]
    lost = core & ~later.regions[REGIONS.index("WT")]
    lost_ml = float(lost.sum()) * grid.voxel_ml
    healthy = later.brain & ~later.regions.any(axis=0) & ~earlier.regions.any(axis=0)
    if lost_ml < max(_LEAST_ML, _LEAST_SHARE * float(core.sum()) * grid.voxel_ml) or not healthy.any():
        return None
    middle = float(np.median(later.scan[lost]))
    dark, bright = np.percentile(later.scan[healthy], (_DARK, _BRIGHT))
    if middle < bright if later.segmented.sequence == "T2" else middle > dark:
        return None
    text = (
        f"Where {earlier.segmented.point.name} shows {lost_ml:.0f} ml of tumor core, "
        f"{later.segmented.point.name} shows fluid, as in a cavity after surgery. Volumes before and after surgery do "
        "not compare, and the model was not trained on cavities: check the segmentation."
    )
    return Finding("cavity", text)
