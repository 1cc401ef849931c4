"""Lesions matched over time, changes with their uncertainty, and the thresholds of RANO."""

import numpy as np
import pytest
import SimpleITK as sitk
from time_point_results import Place, ball
from tokenunet.core.grid import Grid
from tokenunet.followup.changes import lesion_states, volume_changes
from tokenunet.followup.lesions import LesionMasks, match_lesions
from tokenunet.followup.rano import sum_of_products_mm2
from tokenunet.followup.uncertainty import Repeatability

GRID = Grid((40, 40, 40), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
MEASURED = Repeatability("model", 1, {"WT": (0.02, 0.15), "TC": (0.02, 0.15), "ET": (0.02, 0.01)})
LEFT: Place = (20, 20, 10)
RIGHT: Place = (20, 20, 30)
BETWEEN: Place = (20, 20, 20)


def balls(*places: tuple[Place, float]) -> np.ndarray:
    return np.logical_or.reduce([np.zeros((40, 40, 40), bool), *(ball(GRID, p, r) for p, r in places)])


@pytest.mark.parametrize(
    ("before", "after", "states"),
    [
        ([(LEFT, 6)], [(LEFT, 7)], ["grown"]),
        ([(LEFT, 7)], [(LEFT, 5), (RIGHT, 3)], ["shrunk", "new"]),
        ([(LEFT, 5), (RIGHT, 3)], [(LEFT, 5)], ["within uncertainty", "gone"]),
        ([(LEFT, 5), (RIGHT, 4)], [(LEFT, 7), (BETWEEN, 6), (RIGHT, 7)], ["grown, merged"]),
        ([(LEFT, 7), (BETWEEN, 6), (RIGHT, 7)], [(LEFT, 5), (RIGHT, 4)], ["shrunk, split"]),
        ([(LEFT, 5)], [(LEFT, 5), (RIGHT, 1)], ["within uncertainty"]),  # a speck of 0.01 ml is none
        ([], [], []),
    ],
)
def test_match_lesions(before: list[tuple[Place, float]], after: list[tuple[Place, float]], states: list[str]) -> None:
    masks = [balls(*before), balls(*after)]
    found = match_lesions([LesionMasks(mask, mask, GRID) for mask in masks])
    assert [state for lesion in found.lesions for state in lesion_states(lesion, "ET", MEASURED)] == states
    for number, lesion in enumerate(found.lesions, start=1):
        own = (found.numbers == number).sum(axis=(1, 2, 3)) * GRID.voxel_ml
        assert lesion.volumes_ml == pytest.approx(own)


def test_match_lesions_of_a_rim_that_shrinks_away_from_its_former_self() -> None:
    rims = [balls((LEFT, 8)) & ~balls((LEFT, 7)), balls((LEFT, 5)) & ~balls((LEFT, 4))]
    filled = [balls((LEFT, 8)), balls((LEFT, 5))]
    assert len(match_lesions([LesionMasks(rim, rim, GRID) for rim in rims]).lesions) == 2
    (lesion,) = match_lesions([LesionMasks(rim, ball, GRID) for rim, ball in zip(rims, filled, strict=True)]).lesions
    assert lesion.center_lps_mm == pytest.approx((10, 20, 40), abs=0.1)


def test_match_lesions_keeps_one_that_is_away_in_between() -> None:
    masks = [balls((LEFT, 5)), balls(), balls((LEFT, 5))]
    (lesion,) = match_lesions([LesionMasks(mask, mask, GRID) for mask in masks]).lesions
    assert lesion_states(lesion, "WT", MEASURED) == ["gone", "new"]


def test_match_lesions_measures_on_each_grid() -> None:
    """A second scan that is moved by half of its larger voxels."""
    coarse = Grid((20, 20, 20), (2.0, 2.0, 2.0), (0.5, 0.5, 20.5), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    first = LesionMasks(balls((LEFT, 5)), balls((LEFT, 5)), GRID)
    place = np.zeros((20, 20, 20), bool)
    place[17:23, 8:12, 3:7] = True
    shift = sitk.TranslationTransform(3, (0.0, 0.0, 20.0))
    second = LesionMasks(place, place, coarse, shift)
    (lesion,) = match_lesions([first, second]).lesions
    assert lesion.volumes_ml == (first.voxels.sum() * GRID.voxel_ml, place.sum() * coarse.voxel_ml)


def test_volume_changes_state_their_uncertainty() -> None:
    volumes = {"a": {"WT": 10.0, "ET": 0.0}, "b": {"WT": 11.0, "ET": 0.0}, "c": {"WT": 30.0}}
    changes = list(volume_changes(volumes, MEASURED))
    assert [(c.earlier, c.later, c.region) for c in changes] == [
        ("a", "b", "WT"),
        ("a", "b", "ET"),
        ("b", "c", "WT"),
        ("a", "c", "WT"),
    ]
    assert [c.is_within_uncertainty for c in changes] == [True, True, False, False]
    assert changes[0].uncertainty_ml == pytest.approx(np.sqrt(0.02**2 + 0.15 * 11))
    assert changes[1].percent is None


def test_sum_of_products_counts_measurable_lesions() -> None:
    lesions = [
        {"longest_mm": 20.0, "perpendicular_mm": 15.0, "measurable": True},
        {"longest_mm": 20.0, "perpendicular_mm": 5.0, "measurable": False},
    ]
    assert sum_of_products_mm2(lesions) == 300
