"""Maps of what was gained and lost between two time points."""

import numpy as np

from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay, OverlayGroup
from tokenunet.core.regions import REGIONS
from tokenunet.followup.align import AlignedTimePoint

CHANGE = OverlayGroup(
    "change",
    "Change",
    "Number of the regions whole tumor, tumor core and enhancing tumor that hold a voxel at the later time point, less "
    "that at the earlier one: positive where tumor was gained, negative where it was lost.",
)


def change_map(number: int, earlier: AlignedTimePoint, later: AlignedTimePoint, grid: Grid) -> Overlay:
    """Return the map of gained and lost tumor between two time points.

    Args:
        number: Number of the map, from 1.
        earlier: Earlier time point.
        later: Later time point.
        grid: Grid of the first time point of all, on which both are.
    """
    gained = later.regions.sum(axis=0, dtype=np.float32) - earlier.regions.sum(axis=0, dtype=np.float32)
    return Overlay(
        name=f"{CHANGE.name}_{number}",
        title=f"{earlier.segmented.point.name} to {later.segmented.point.name}",
        group=CHANGE.name,
        unit="regions gained",
        range=(-float(len(REGIONS)), float(len(REGIONS))),
        colormap="signed",
        array=gained,
        grid=grid,
    )
