"""Known motions found again, failures flagged, and studies whose scans do not lie on each other."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scan_fixtures import REAL_PATIENT, needs_real_patient
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.sequences import SEQUENCES
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.preprocessing import align_study, prepare
from tokenunet.preprocessing.register import LEAST_QUALITY, Reference
from tokenunet.preprocessing.restore import regions_on_grid
from tokenunet.study.find import find_study
from tokenunet.study.scans import Study
from tokenunet.synthesis import SyntheticPatient, synthetic_patient

from tools.registration import FOUND_MM, moved, random_motion, trial

SEED = 6 * 10**9


@pytest.fixture(scope="module")
def patient() -> SyntheticPatient:
    return synthetic_patient(SEED, 2.0)


@pytest.fixture(scope="module")
def scans(patient: SyntheticPatient) -> Study:
    return synthetic_study(patient)[0]


@pytest.fixture(scope="module")
def reference(scans: Study) -> Reference:
    image = scans.scans["T1ce"].image
    return Reference(image, image != 0)


@pytest.mark.parametrize("thick", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_known_motion_is_found(patient: SyntheticPatient, seed: int, thick: bool) -> None:
    result = trial(patient, np.random.default_rng(seed), thick)
    assert result.error_mm < FOUND_MM
    assert not result.flagged


def test_scans_that_lie_right_stay_and_the_same_comes_out_again(scans: Study, reference: Reference) -> None:
    first, second = (reference.align(scans.scans["T2"].image) for _ in range(2))
    assert first.shift_mm < 1
    assert first.rotation_degrees < 1
    assert first.transform.GetParameters() == second.transform.GetParameters()
    assert first.quality == pytest.approx(second.quality, abs=1e-6)


def test_what_cannot_fit_is_flagged(reference: Reference, scans: Study) -> None:
    image = scans.scans["T2"].image
    upside_down = Grid.of(image).image(np.ascontiguousarray(sitk.GetArrayFromImage(image)[::-1]))
    noise = Grid.of(image).image(np.random.default_rng(0).normal(size=image.GetSize()[::-1]).astype(np.float32))
    mirrored = Grid.of(image).image(np.ascontiguousarray(sitk.GetArrayFromImage(image)[:, :, ::-1]))
    somebody_else = synthetic_study(synthetic_patient(SEED + 1, 2.0))[0].scans["T2"].image
    for wrong in (upside_down, noise, mirrored, somebody_else):
        assert reference.align(wrong).quality < LEAST_QUALITY


def test_a_moved_study_is_brought_together_and_the_result_back(scans: Study) -> None:
    center = Grid.of(scans.scans["T1ce"].image).image(np.zeros((1, 1, 1))).GetOrigin()
    motion = random_motion(np.random.default_rng(3), center)
    flair = moved(scans.scans["FLAIR"].image, motion, (1.0, 1.0, 4.0))
    study = replace(scans, scans=scans.scans | {"FLAIR": replace(scans.scans["FLAIR"], image=flair)})
    alignments, findings = align_study(study)
    assert set(alignments) == {"T1", "T2", "FLAIR"}
    assert findings == ()
    prepared = prepare(study, ModelSpace(SEQUENCES, (2.0, 2.0, 2.0), "LPS"), alignments)
    still = prepare(scans, ModelSpace(SEQUENCES, (2.0, 2.0, 2.0), "LPS"))
    channel = SEQUENCES.index("FLAIR")
    inside = prepared.brain & still.brain
    assert np.corrcoef(prepared.tensor[channel].numpy()[inside], still.tensor[channel].numpy()[inside])[0, 1] > 0.8
    back = regions_on_grid(
        np.repeat(still.brain[None].astype(np.float32), 3, 0),
        still.grid,
        Grid.of(flair),
        alignments["FLAIR"].transform.GetInverse(),
    )[0]
    shown = sitk.GetArrayFromImage(flair) > 0
    assert 2 * (back & shown).sum() / (back.sum() + shown.sum()) > 0.95


def test_stripped_scans_of_one_grid_are_left_alone(scans: Study) -> None:
    assert align_study(scans) == ({}, ())


def test_a_poor_alignment_is_said(scans: Study) -> None:
    image = scans.scans["T2"].image
    upside_down = np.ascontiguousarray(sitk.GetArrayFromImage(image)[::-1])
    x, y, z = image.GetOrigin()
    wrong = replace(Grid.of(image), origin=(x + 1, y, z)).image(upside_down)
    _, findings = align_study(replace(scans, scans=scans.scans | {"T2": replace(scans.scans["T2"], image=wrong)}))
    assert [finding.code for finding in findings] == ["poor_alignment"]
    assert "T2" in findings[0].message


@needs_real_patient
def test_a_real_raw_study_is_aligned_with_confidence() -> None:
    alignments, findings = align_study(find_study(REAL_PATIENT / "raw").read())
    assert findings == ()
    assert all(math.isfinite(a.shift_mm) and a.quality > LEAST_QUALITY for a in alignments.values())
