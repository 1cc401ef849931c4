"""Synthetic patients as training cases: each seen once, prepared as inference prepares a scan, none of validation's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenunet.core.errors import UsageError
from tokenunet.data import read_dataset
from tokenunet.synthesis import synthetic_patient, write_patient
from tokenunet.training.config.configuration import MOST_SYNTHETIC_PATIENTS, TrainingConfiguration
from tokenunet.training.config.stages import configurations_of
from tokenunet.training.loop.validation import dice_of_cases
from tokenunet.training.samples.cache import cached_cases
from tokenunet.training.samples.patches import Patch, PatchDataset, Schedule
from tokenunet.training.samples.synthetic import (
    VALIDATION_SEED,
    VALIDATION_VARIETY,
    SyntheticCase,
    SyntheticCases,
    validation_dataset,
    write_validation_patients,
)
from torch import Tensor, nn

TINY = {"spacing": 4.0, "epochs": 2, "synthetic_patients": 3}


def stages(**overrides: Any) -> list[TrainingConfiguration]:
    return list(configurations_of(["token_unet_transformer"], "synthetic", overrides).values())


def cases_of(configuration: TrainingConfiguration, seed: int = 0) -> SyntheticCases:
    c = configuration
    return SyntheticCases(seed, c.first_patient, c.epochs * c.synthetic_patients, c.spacing)


def test_no_patient_is_learned_from_twice_in_any_stage() -> None:
    seen = []
    for configuration in stages(**TINY):
        cases = cases_of(configuration)
        schedule = Schedule(configuration.synthetic_patients, configuration, seed=5)
        assert schedule.total_steps == 6
        dataset = PatchDataset(cases, configuration, seed=5)
        asked: list[str] = []
        for number in range(schedule.total_steps):
            [patch] = schedule.step(number)
            asked.append(cases[patch.epoch * 3 + patch.case].name)
        assert sorted(asked) == sorted(dataset.names)
        seen += asked
    assert len(set(seen)) == len(seen) == 12


def test_the_dataset_takes_the_patients_of_the_epoch() -> None:
    coarse = stages(**TINY)[0]
    cases = cases_of(coarse)
    dataset = PatchDataset(cases, coarse, seed=5)
    [patch] = Schedule(3, coarse, seed=5).step(4)
    assert patch.epoch == 1
    (image, _), expected, earlier = (
        dataset[patch],
        *(PatchDataset([cases[place]], coarse, 0)[Patch(0, 0, 0)][0] for place in (3 + patch.case, patch.case)),
    )
    assert torch.equal(image, expected)
    assert not torch.equal(image, earlier)


@pytest.mark.parametrize("seed", [0, 1, 10**6, 2**31])
def test_seeds_of_validation_are_beyond_those_of_any_training(seed: int) -> None:
    last = SyntheticCases(seed, MOST_SYNTHETIC_PATIENTS - 1, 1, 4.0)[0]
    assert 0 <= last.seed < VALIDATION_SEED / 5
    names = {case.name for case in validation_dataset(Path("patients"), 100).cases}
    assert names == {SyntheticCase(VALIDATION_SEED + n, 4.0).name for n in range(100)}
    assert VALIDATION_SEED + 100 < 2**32, "of which torch's generator takes the lowest 32 bits"


def test_other_trainings_have_other_patients() -> None:
    assert not {c.seed for c in SyntheticCases(0, 0, 9000, 4.0)} & {c.seed for c in SyntheticCases(1, 0, 9000, 4.0)}


def test_a_case_is_what_inference_makes_of_the_patients_files(tmp_path: Path) -> None:
    case = SyntheticCase(1, 4.0)
    write_patient(synthetic_patient(1, 4.0), tmp_path / "patients")
    dataset = read_dataset(tmp_path / "patients")
    read = cached_cases(dataset.cases, 4.0, tmp_path / "cache", lambda done: None)[case.name]
    inside, same = (c.image()[:, (np.asarray(c.image()) != 0).any(axis=0)] for c in (case, read))
    np.testing.assert_allclose(inside, same, rtol=1e-3, atol=1e-3)
    assert inside.mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-4)
    assert inside.std(axis=1) == pytest.approx(np.ones(4), abs=1e-3)
    assert case.regions().sum(axis=(1, 2, 3)).tolist() == read.regions().sum(axis=(1, 2, 3)).tolist()


def test_of_some_patients_one_sequence_is_missing_as_the_model_card_fills_it() -> None:
    images = [SyntheticCase(seed, 4.0).image() for seed in (4, 3, 11)]
    missing = [[channel for channel in range(4) if not image[channel].any()] for image in images]
    assert missing == [[], [0], [3]]


def test_whole_brains_are_cut_to_what_inference_shows_the_network() -> None:
    coarse = stages(**TINY)[0]
    case = cases_of(coarse)[0]
    image, regions = PatchDataset([case], coarse, seed=0)[Schedule(1, coarse, 0).step(0)[0]]
    brain = (case.image() != 0).any(axis=0)
    extents = [np.ptp(np.flatnonzero(brain.any(axis=axes))) + 1 for axes in ((1, 2), (0, 2), (0, 1))]
    assert list(image.shape[1:]) == [-(-extent // 8) * 8 for extent in extents]
    assert image.dtype == torch.float32
    assert regions.dtype == torch.uint8
    assert int((image != 0).any(dim=0).sum()) == brain.sum()
    assert regions.sum(dim=(1, 2, 3)).tolist() == case.regions().sum(axis=(1, 2, 3)).tolist()


def test_validation_shows_whole_brains_to_the_network() -> None:
    coarse = stages(**TINY)[0]
    case = cases_of(coarse)[0]
    truth = torch.from_numpy(case.regions())
    shapes = []

    class Knowing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            shapes.append(tuple(x.shape[2:]))
            from tokenunet.training.samples.cases import brain_view

            view = brain_view(torch.from_numpy(case.image()), "token_unet_transformer")
            return view.cut(truth.float())[None] - 0.5

    scores = dice_of_cases(Knowing(), [case], coarse, torch.device("cpu"), lambda: None)
    assert scores.tolist() == [[1.0, 1.0, 1.0]]
    assert len(shapes) == 1
    assert all(side % 8 == 0 for side in shapes[0])


def test_validation_patients_are_made_once_and_from_wider_ranges(tmp_path: Path) -> None:
    dataset = validation_dataset(tmp_path / "patients", 2)
    told: list[int] = []
    write_validation_patients(dataset, 4.0, told.append)
    assert told == [0, 1, 2]
    assert {case.name: case.images for case in read_dataset(tmp_path / "patients").cases} == {
        case.name: case.images for case in dataset.cases
    }
    first = dataset.cases[0].truth
    assert first is not None
    before, content = first.stat().st_mtime_ns, first.read_bytes()
    write_validation_patients(dataset, 4.0, told.append)
    assert first.stat().st_mtime_ns == before
    wide = synthetic_patient(VALIDATION_SEED, 4.0, VALIDATION_VARIETY)
    write_patient(wide, tmp_path / "again")
    assert (tmp_path / "again" / first.parent.name / first.name).read_bytes() == content
    assert (wide.labels != synthetic_patient(VALIDATION_SEED, 4.0).labels).any()


def test_the_fine_stage_goes_on_from_the_coarse_one() -> None:
    networks = configurations_of(["token_unet_transformer"], "synthetic", {})
    coarse, fine = networks.values()
    assert list(networks) == ["token_unet_transformer_coarse", "token_unet_transformer_fine"]
    assert (coarse.spacing, coarse.epochs * coarse.synthetic_patients, coarse.learning_rate) == (2.0, 6000, 8e-4)
    assert (fine.spacing, fine.epochs * fine.synthetic_patients, fine.learning_rate) == (1.6, 4000, 6e-4)
    assert (coarse.initial, fine.initial) == ("", "token_unet_transformer_coarse/fold_0/last.safetensors")
    assert fine.first_patient == 6000
    assert coarse.whole_brains
    assert (coarse.batch_size, coarse.accumulation) == (1, 1)
    assert (coarse.dice_smoothing, coarse.absent_smoothing) == (50.0, 500.0)
    assert (coarse.warm_up_steps, coarse.weight_decay, coarse.clip_norm, coarse.average_decay) == (60, 1e-2, 1.0, 0.998)


def test_settings_are_of_all_stages_or_of_one() -> None:
    coarse, fine = stages(**{"workers": 3, "fine.epochs": 2, "coarse.learning_rate": "1e-3"})
    assert (coarse.workers, fine.workers) == (3, 3)
    assert (coarse.epochs, fine.epochs) == (60, 2)
    assert (coarse.learning_rate, fine.learning_rate) == (1e-3, 6e-4)
    [only] = stages(**{"coarse.epochs": "0"})
    assert (only.spacing, only.first_patient, only.initial) == (1.6, 0, "")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"epochs": 0}, "No stage is left"),
        ({"spacing": 3}, "2 or 4 mm"),
        ({"batch_size": 2}, "differ in size"),
        ({"synthetic_patients": 0}, "needs synthetic patients"),
        ({"validation_patients": 0}, "needs synthetic patients"),
        ({"fine.validation_patients": 3}, "the same patients"),
        ({"coarse.epochs": 100_000, "synthetic_patients": 1000}, "at most"),
        ({"middle.epochs": 3}, "no setting middle.epochs"),
    ],
)
def test_impossible_stages_are_refused(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        stages(**overrides)
