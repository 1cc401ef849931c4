import numpy as np
from tokenunet.core.dice import dice, dice_by_region

SOME = np.array([[True, True], [False, False]])
OTHER = np.array([[True, False], [True, False]])
NONE = np.zeros((2, 2), bool)


def test_dice_is_twice_the_overlap_over_the_sizes() -> None:
    assert dice(SOME, SOME) == 1
    assert dice(SOME, OTHER) == 0.5
    assert dice(SOME, ~SOME) == 0


def test_two_empty_regions_agree_and_one_empty_region_does_not() -> None:
    assert dice(NONE, NONE) == 1
    assert dice(NONE, SOME) == 0
    assert dice(SOME, NONE) == 0


def test_regions_are_nested_and_both_values_of_enhancing_tumor_count() -> None:
    prediction = np.array([0, 1, 2, 4, 4])
    truth = np.array([0, 1, 2, 2, 3])
    assert dice_by_region(prediction, truth) == {"WT": 1.0, "TC": 2 * 2 / 5, "ET": 2 * 1 / 3}
