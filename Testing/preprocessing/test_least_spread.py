"""T1ce with much enhancement gets the contrast that a brain without it has, and nothing else changes."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from scan_fixtures import study
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SEQUENCES
from tokenunet.preprocessing import Prepared, prepare
from tokenunet.preprocessing.least_spread import with_least_spread
from tokenunet.study.scans import Study

T1CE = SEQUENCES.index("T1ce")
LEAST = {"T1ce": 0.88}


def prepared(scans: Study, least: dict[str, float]) -> Prepared:
    return prepare(scans, ModelSpace(SEQUENCES, scans.scans["T1"].image.GetSpacing(), "LPS", least_spread=least))


def with_enhancement(share: float, factor: float) -> Study:
    """Return four scans; a share of the brain, at one end, is so many times brighter in T1ce."""
    scans = dict(study().scans)
    image = scans["T1ce"].image
    values = sitk.GetArrayFromImage(image)
    inside = np.flatnonzero(values)
    values.ravel()[inside[: int(share * len(inside))]] *= factor
    scans["T1ce"] = replace(scans["T1ce"], image=Grid.of(image).image(values))
    return Study(scans)


def contrast(patient: Prepared) -> float:
    """Return the deviation of T1ce in the half of the brain that does not enhance."""
    values = patient.tensor[T1CE].numpy()[patient.brain]
    return float(values[len(values) // 2 :].std())


def test_enhancement_does_not_take_contrast_from_the_rest() -> None:
    plain, lost, kept = (
        prepared(scans, least)
        for scans, least in ((study(), {}), (with_enhancement(0.06, 3), {}), (with_enhancement(0.06, 3), LEAST))
    )
    assert contrast(lost) < 0.7 * contrast(plain)
    assert 0.75 * contrast(plain) < contrast(kept) < contrast(plain)
    for channel in set(range(len(SEQUENCES))) - {T1CE}:
        assert torch.equal(lost.tensor[channel], kept.tensor[channel])
    assert (kept.tensor[:, ~kept.brain] == 0).all()


def test_usual_scans_stay_as_they_are() -> None:
    assert torch.equal(prepared(study(), {}).tensor, prepared(study(), LEAST).tensor)


def test_a_scan_is_multiplied_by_a_limited_factor() -> None:
    tensor, brain = torch.zeros(2, 4, 4, 4), np.ones((4, 4, 4), bool)
    tensor[0].view(-1)[::2] = torch.linspace(-1e-3, 1e-3, 32)
    tensor[0, 0, 0, 1] = 7.9
    scaled = with_least_spread(tensor, brain, [0.88, 0.88])
    torch.testing.assert_close(scaled, 1.6 * tensor)
