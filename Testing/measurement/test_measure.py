"""Measurements as a run report holds them."""

import numpy as np
from tokenunet.core.grid import Grid
from tokenunet.measurement import measure

GRID = Grid((40, 40, 10), (1, 1, 2), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_measure_leaves_out_what_was_not_segmented() -> None:
    regions = np.zeros((3, 10, 40, 40), bool)
    regions[0, 2:6, 5:30, 5:25] = True
    regions[1, 2:6, 10:20, 10:20] = True
    regions[2, 3:5, 12:18, 12:18] = True
    measured = measure(regions, GRID)
    assert measured["volumes_ml"] == {"WT": 4.0, "TC": 0.8, "ET": 0.144, "NCR": 0.656, "ED": 3.2}
    assert [len(measured["lesions"][name]) for name in ("WT", "ET")] == [1, 1]
    without = measure(regions, GRID, ["ET", "NCR"])
    assert without["volumes_ml"] == {"WT": 4.0, "TC": 0.8, "ED": 3.2}
    assert without["lesions"] == {"WT": measured["lesions"]["WT"]}
