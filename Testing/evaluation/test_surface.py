"""HD95 and surface Dice with BraTS's rule for absent regions."""

import numpy as np
import pytest
from tokenunet.evaluation.surface import ABSENT_MM, hausdorff95, surface_dice


def test_hausdorff95_measures_a_shift_in_mm():
    one, other = np.zeros((2, 20, 20, 20), bool)
    one[5:10, 5:10, 5:10] = True
    other[8:13, 5:10, 5:10] = True
    assert hausdorff95(one, one, (2.0, 1.0, 1.0)) == 0
    assert hausdorff95(one, other, (2.0, 1.0, 1.0)) == pytest.approx(6.0)


def test_hausdorff95_follows_brats_where_a_region_is_absent():
    nothing, something = np.zeros((2, 8, 8, 8), bool)
    something[4, 4, 4] = True
    assert hausdorff95(nothing, nothing, (1.0, 1.0, 1.0)) == 0
    assert hausdorff95(something, nothing, (1.0, 1.0, 1.0)) == ABSENT_MM
    assert hausdorff95(nothing, something, (1.0, 1.0, 1.0)) == ABSENT_MM


def test_surface_dice_counts_what_is_within_a_millimeter():
    one, other = np.zeros((2, 20, 20, 20), bool)
    one[5:10, 5:10, 5:10] = True
    other[6:11, 5:10, 5:10] = True
    assert surface_dice(one, other, (1.0, 1.0, 1.0)) == 1
    # Two millimeters along z: only the outlines of the slices that both have are within one.
    shared = 4 * 16 / (2 * (5**3 - 3**3))
    assert surface_dice(one, other, (2.0, 1.0, 1.0)) < 1
    assert surface_dice(one, other, (2.0, 1.0, 1.0)) > shared


def test_surface_dice_is_one_or_zero_where_a_region_is_absent():
    nothing, something = np.zeros((2, 8, 8, 8), bool)
    something[4, 4, 4] = True
    assert surface_dice(nothing, nothing, (1.0, 1.0, 1.0)) == 1
    assert surface_dice(something, nothing, (1.0, 1.0, 1.0)) == 0
    assert surface_dice(nothing, something, (1.0, 1.0, 1.0)) == 0
