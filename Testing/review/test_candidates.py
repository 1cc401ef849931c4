"""Review hints from made-up masks."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import AttentionMaps
from tokenunet.review import Basis, MapLevels, find_review_candidates, levels_from_notes

SHAPE = (96, 104, 112)
# on oblique axes: a mix-up of axes or handedness shows
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0), (-50.0, 20.0, 7.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
SEGMENTED, MISSED, SMALL = ((60, 60, 70), 16), ((30, 35, 30), 11), ((70, 25, 30), 8)


def ball(lesion: tuple[tuple[int, int, int], int]) -> NDArray[np.bool_]:
    center, radius = lesion
    at = np.indices(SHAPE)
    return sum((a - c) ** 2 for a, c in zip(at, center, strict=True)) < radius**2


BRAIN = ball(((48, 52, 56), 54))


def masks_of(*high: tuple[tuple[int, int, int], int], seed: int = 0) -> AttentionMaps:
    """Eight masks of noise each, but TokenFuser 3 is high, and 6 low, in the given balls."""
    random = np.random.default_rng(seed)
    tumor = np.any([np.zeros(SHAPE, bool), *map(ball, high)], axis=0)
    coarse = tumor.reshape(12, 8, 13, 8, 14, 8).mean(axis=(1, 3, 5))
    learner, fuser = random.normal(1, 0.3, (2, 8, *coarse.shape))
    fuser[2] = 0.2 + 2 * coarse + random.normal(0, 0.2, coarse.shape)
    fuser[5] = -1 - 3 * coarse + random.normal(0, 0.3, coarse.shape)
    grid = GRID.coarsened(8, (0, 0, 0), (14, 13, 12))
    return AttentionMaps(learner.astype(np.float32), fuser.astype(np.float32), grid)


def test_a_missed_lesion_is_found_with_its_place_and_size() -> None:
    found = find_review_candidates(ball(SEGMENTED), BRAIN, GRID, masks_of(SEGMENTED, MISSED))
    assert found.basis is Basis.PATIENT
    assert [levels.name for levels in found.selective_maps] == ["TokenFuser 3", "TokenFuser 6"]
    assert len(found.candidates) == 1
    hint = found.candidates[0]
    truth = ball(MISSED)
    voxels = found.voxels(hint.number, GRID)
    assert 2 * (voxels & truth).sum() / (voxels.sum() + truth.sum()) > 0.8
    assert hint.volume_ml == pytest.approx(voxels.sum() * GRID.voxel_ml, rel=0.02)
    assert hint.peak == pytest.approx(1, abs=0.2)
    middle = GRID.image(truth.astype(np.uint8)).TransformIndexToPhysicalPoint(MISSED[0][::-1])
    assert np.linalg.norm(np.subtract(hint.center, middle)) < 4
    assert [levels.number for levels in hint.maps] == [3, 6]


def test_hints_come_by_falling_volume() -> None:
    found = find_review_candidates(ball(SEGMENTED), BRAIN, GRID, masks_of(SEGMENTED, SMALL, MISSED))
    assert [hint.number for hint in found.candidates] == [1, 2]
    assert found.candidates[0].volume_ml > found.candidates[1].volume_ml
    assert found.voxels(1, GRID)[MISSED[0]]
    assert found.voxels(2, GRID)[SMALL[0]]


@pytest.mark.parametrize("radius", [10, 16, 25])
def test_the_halo_of_the_segmented_tumor_is_not_reported(radius: int) -> None:
    lesion = ((51, 55, 53), radius)  # voxels of the masks lie across its border
    found = find_review_candidates(ball(lesion), BRAIN, GRID, masks_of(lesion))
    assert found.basis is Basis.PATIENT
    assert found.candidates == ()
    assert not found.labels.any()


def test_the_missed_part_of_a_segmented_tumor_is_found() -> None:
    whole = ((48, 52, 56), 28)
    most = ball(whole) & (np.arange(SHAPE[2]) < 64)
    found = find_review_candidates(most, BRAIN, GRID, masks_of(whole))
    assert len(found.candidates) == 1
    assert not (found.voxels(1, GRID) & most).any()
    assert (found.voxels(1, GRID) & ball(whole)).sum() > 0.5 * (ball(whole) & ~most).sum()


def test_nothing_is_listed_outside_the_brain() -> None:
    brain = BRAIN & ~ball((MISSED[0], 20))
    found = find_review_candidates(ball(SEGMENTED), brain, GRID, masks_of(SEGMENTED, MISSED))
    assert found.basis is Basis.PATIENT
    assert found.candidates == ()


def test_a_segmentation_on_another_grid_gives_the_same_hints() -> None:
    masks = masks_of(SEGMENTED, MISSED)
    coarse = replace(GRID, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), origin=(-130.0, 10.0, 7.0))
    coarse = replace(coarse, size=(220, 190, 34), spacing=(1.0, 1.0, 3.0))
    segmented, brain = (
        sitk.GetArrayFromImage(coarse.resample(GRID.image(region.astype(np.uint8)), sitk.sitkNearestNeighbor)) > 0
        for region in (ball(SEGMENTED), BRAIN)
    )
    there = find_review_candidates(segmented, brain, coarse, masks)
    here = find_review_candidates(ball(SEGMENTED), BRAIN, GRID, masks)
    assert len(there.candidates) == 1
    assert np.linalg.norm(np.subtract(there.candidates[0].center, here.candidates[0].center)) < 3
    assert there.voxels(1, coarse).sum() * coarse.voxel_ml == pytest.approx(there.candidates[0].volume_ml, rel=0.1)


def test_without_a_segmentation_the_model_knows_the_masks() -> None:
    nothing = np.zeros(SHAPE, bool)
    masks = masks_of(MISSED)
    known = (MapLevels("token_fuser", 3, outside=0.2, inside=2.2, separation=0.99),)
    found = find_review_candidates(nothing, BRAIN, GRID, masks, known)
    assert found.basis is Basis.MODEL
    assert found.selective_maps == known
    assert found.voxels(1, GRID)[MISSED[0]]
    unknown = find_review_candidates(nothing, BRAIN, GRID, masks)
    assert unknown.basis is Basis.NONE
    assert unknown.candidates == ()


def test_masks_that_do_not_follow_the_tumor_give_no_hints() -> None:
    found = find_review_candidates(ball(SEGMENTED), BRAIN, GRID, masks_of(MISSED))
    assert found.basis is Basis.NONE
    assert found.candidates == ()


def test_a_token_learner_mask_that_avoids_tumor_does_not_follow_it() -> None:
    masks = masks_of(SEGMENTED)
    avoiding = AttentionMaps(-masks.token_fuser, np.ones_like(masks.token_fuser), masks.grid)
    found = find_review_candidates(ball(SEGMENTED), BRAIN, GRID, avoiding)
    assert [levels.name for levels in found.selective_maps] == ["TokenLearner 6"]


@pytest.mark.parametrize("notes", [None, 3, [{"kind": "token_fuser"}], ["x"]])
def test_unusable_notes_of_a_model_are_passed_over(notes: object) -> None:
    assert levels_from_notes(notes) == ()
