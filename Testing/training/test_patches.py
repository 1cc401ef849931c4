"""Which patches are learned from when, and what is in them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenunet.training.samples.augmentation import augmented
from tokenunet.training.samples.patches import Patch, PatchDataset, Schedule
from training.learning_cases import cached_case, tiny_configuration


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PatchDataset:
    cases = [cached_case(tmp_path_factory.mktemp("cache"), number) for number in range(3)]
    return PatchDataset(cases, tiny_configuration(tumor_share=1.0), seed=5)


def test_an_epoch_takes_every_patch_once_and_its_last_step_may_be_smaller() -> None:
    schedule = Schedule(5, tiny_configuration(patches_per_case=2, batch_size=2, accumulation=2), seed=1)
    assert schedule.steps_per_epoch == 3
    epoch = [schedule.step(number) for number in range(3, 6)]
    assert [len(step) for step in epoch] == [4, 4, 2]
    assert {(patch.case, patch.repeat) for step in epoch for patch in step} == {
        (c, r) for c in range(5) for r in (0, 1)
    }
    assert {patch.epoch for step in epoch for patch in step} == {1}


def test_epochs_differ_in_order_and_seeds_too() -> None:
    schedule = Schedule(30, tiny_configuration(accumulation=30), seed=1)
    other = Schedule(30, tiny_configuration(accumulation=30), seed=2)
    orders = [[patch.case for patch in step] for step in (schedule.step(0), schedule.step(1), other.step(0))]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert schedule.step(0) == schedule.step(0)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_processes_share_a_step_so_that_their_mean_is_the_steps_mean(ranks: int) -> None:
    schedule = Schedule(7, tiny_configuration(batch_size=2, accumulation=2), seed=0)
    for number in range(schedule.total_steps):
        share = dict.fromkeys(schedule.step(number), 0.0)
        for rank in range(ranks):
            for batch in schedule.batches(number, rank, ranks):
                for patch in batch:
                    share[patch] += schedule.weight(number, batch, rank, ranks) / len(batch) / ranks
        assert share == pytest.approx({patch: 1 / len(share) for patch in share})


def test_a_patch_is_always_the_same_and_another_in_the_next_epoch(dataset: PatchDataset) -> None:
    first, again, later = (dataset[Patch(epoch, 1, 0)] for epoch in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], later[0])


def test_patches_hold_tumor_where_asked_for(dataset: PatchDataset) -> None:
    assert all(dataset[Patch(epoch, case, 0)][1][0].any() for epoch in range(20) for case in range(3))


def test_patches_are_pieces_of_the_case_and_regions_are_nested(dataset: PatchDataset, tmp_path: Path) -> None:
    image, regions = dataset[Patch(0, 0, 0)]
    assert image.shape == (4, 24, 24, 24)
    assert regions.dtype == torch.uint8
    assert bool((regions[0] >= regions[1]).all())
    assert bool((regions[1] >= regions[2]).all())
    case = cached_case(tmp_path, 0)
    whole = np.lib.stride_tricks.sliding_window_view(case.image()[0], (24, 24, 24))
    assert (whole[..., 0, 0, 0] == image[0, 0, 0, 0].numpy()).any()


def test_cases_smaller_than_a_patch_are_filled_up_with_background(tmp_path: Path) -> None:
    dataset = PatchDataset([cached_case(tmp_path, 0)], tiny_configuration(patch_size=(40, 32, 48)), seed=0)
    image, regions = dataset[Patch(0, 0, 0)]
    assert image.shape == (4, 40, 32, 48)
    assert not image[:, 32:].any()
    assert not image[..., 32:].any()
    assert not regions[:, 32:].any()


def test_augmentation_moves_image_and_regions_together_and_keeps_the_background() -> None:
    regions = torch.zeros(3, 32, 32, 32, dtype=torch.uint8)
    regions[:, 8:20, 6:16, 10:28] = 1
    brain = torch.zeros(32, 32, 32)
    brain[2:30, 2:30, 2:30] = 1
    image = (10.0 * regions[0] + 1.0)[None].repeat(4, 1, 1, 1) * brain
    changed = 0
    for seed in range(12):
        moved, moved_regions = augmented(image, regions, seed)
        again, _ = augmented(image, regions, seed)
        assert torch.equal(moved, again)
        changed += not torch.equal(moved, image)
        assert moved_regions.unique().tolist() == [0, 1]
        bright = moved[0] > moved[0][moved_regions[0] == 1].median() / 2
        overlap = (bright & (moved_regions[0] == 1)).sum() / (bright | (moved_regions[0] == 1)).sum()
        assert overlap > 0.8
        assert (moved[0] == 0).float().mean() > 0.1
    assert changed >= 10
