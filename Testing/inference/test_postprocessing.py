import numpy as np
from tokenunet.inference.postprocessing import without_holes, without_small_components

VOXEL_ML = 0.008


def nested() -> np.ndarray:
    regions = np.zeros((3, 30, 30, 30), bool)
    regions[0, 2:18, 2:18, 2:18] = True
    regions[1, 4:14, 4:14, 4:14] = True
    regions[2, 4:14, 4:14, 4:14] = True
    regions[2, 6:12, 6:12, 6:12] = False
    return regions


def test_small_parts_go_with_all_inside_them_and_large_ones_stay() -> None:
    regions = nested()
    speckled = regions.copy()
    speckled[:, 25:28, 25:28, 25:28] = True  # 27 voxels
    assert (without_small_components(speckled, 28 * VOXEL_ML, VOXEL_ML) == regions).all()
    assert (without_small_components(speckled, 27 * VOXEL_ML, VOXEL_ML) == speckled).all()
    assert not without_small_components(speckled, 1e6, VOXEL_ML).any()


def test_parts_that_touch_at_a_corner_are_one() -> None:
    regions = np.zeros((3, 8, 8, 8), bool)
    regions[0, :2, :2, :2] = regions[0, 2:4, 2:4, 2:4] = True
    assert (without_small_components(regions, 16 * VOXEL_ML, VOXEL_ML) == regions).all()


def test_holes_of_tumor_and_core_are_filled_and_the_ring_stays() -> None:
    regions = nested()
    holed = regions.copy()
    holed[:, 8:10, 8:10, 8:10] = False
    holed[0, 15, 15, 15] = False
    filled = without_holes(holed)
    assert (filled == regions).all()
    assert (filled[2] <= filled[1]).all()
    assert (filled[1] <= filled[0]).all()


def test_what_is_open_to_the_outside_is_no_hole_and_nothing_stays_nothing() -> None:
    regions = nested()
    regions[:, 8, 8, :10] = False
    assert (without_holes(regions) == regions).all()
    empty = np.zeros_like(regions)
    assert not without_holes(empty).any()
    assert not without_small_components(empty, 0.5, VOXEL_ML).any()
