"""Review candidates of made-up patients: what each source points to, and what is listed."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import Prediction, ProbeMaps
from tokenunet.review.calibration import LinearModel, ReviewCalibration
from tokenunet.review.candidates import find_candidates, possible_candidates
from tokenunet.review.patient import ReviewedPatient

SHAPE = (96, 104, 112)
GRID = Grid(SHAPE[::-1], (1.6, 1.6, 1.6), (-50.0, 20.0, 7.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
SEGMENTED, MISSED = ((60, 60, 70), 16), ((30, 35, 30), 11)
CALIBRATION = ReviewCalibration(
    weights_sha256="",
    calibrated_on="made-up patients",
    candidate=LinearModel({"fine_mean": 1.0}, 0.0),
    least_probability=0.3,
    dice={},
    volume={},
)


def ball(lesion: tuple[tuple[int, int, int], int]) -> NDArray[np.bool_]:
    center, radius = lesion
    return sum((a - c) ** 2 for a, c in zip(np.indices(SHAPE), center, strict=True)) < radius**2


BRAIN = ball(((48, 52, 56), 50))


def patient(*seen: tuple[tuple[int, int, int], int]) -> ReviewedPatient:
    """Segmented is one ball; the encoder sees it and the given ones, by tokens 2 and 3."""
    segmented = ball(SEGMENTED)
    tumor = np.any([segmented, *map(ball, seen)], axis=0).astype(np.float32)

    def pooled(factor: int) -> NDArray[np.float32]:
        d, h, w = (n // factor for n in SHAPE)
        return 10 * tumor.reshape(d, factor, h, factor, w, factor).mean(axis=(1, 3, 5)) - 5

    shares = np.stack([0 * pooled(8), 0.2 * pooled(8), 0.5 * pooled(8), 0.3 * pooled(8)])
    coarse, fine = (GRID.coarsened(f, (0, 0, 0), (112 // f, 104 // f, 96 // f)) for f in (8, 4))
    probe = ProbeMaps(shares, np.ones(shares.shape[1:], np.float32), coarse, pooled(4), fine)
    probabilities = np.repeat(0.9 * segmented[None].astype(np.float32), 3, axis=0)
    scans = {"FLAIR": np.where(BRAIN, 0.1, 0).astype(np.float32), "T1ce": np.zeros(SHAPE, np.float32)}
    return ReviewedPatient(scans, BRAIN, segmented, Prediction(probabilities, probe=probe), GRID)


def test_probe_finds_what_the_decoder_left_out() -> None:
    found = find_candidates(patient(MISSED), CALIBRATION)
    [candidate] = found.candidates
    assert candidate.sources == ("probe",)
    assert candidate.token == 3
    middle = GRID.image(BRAIN.astype(np.uint8)).TransformIndexToPhysicalPoint(MISSED[0][::-1])
    assert np.linalg.norm(np.subtract(candidate.center, middle)) < 5
    voxels = np.kron(found.labels == 1, np.ones((2, 2, 2), bool))
    truth = ball(MISSED)
    assert 2 * (voxels & truth).sum() / (voxels.sum() + truth.sum()) > 0.7
    assert candidate.volume_ml == pytest.approx(voxels.sum() * GRID.voxel_ml, rel=0.01)


def test_probe_alone_lists_nothing_around_the_segmentation_or_outside_the_brain() -> None:
    assert find_candidates(patient(), CALIBRATION).candidates == ()
    hidden = replace(patient(MISSED), brain=BRAIN & ~ball((MISSED[0], 16)))
    assert find_candidates(hidden, CALIBRATION).candidates == ()


def test_doubtful_part_is_a_candidate_unless_it_touches_the_segmentation() -> None:
    without = patient()
    apart, touching = ball(((30, 60, 40), 6)), ball(((60, 60, 52), 6))
    doubtful = without.prediction.probabilities.copy()
    doubtful[0] = np.maximum(doubtful[0], 0.4 * (apart | touching))
    doubted = replace(without, prediction=replace(without.prediction, probabilities=doubtful, probe=None))
    labels, regions, grid = possible_candidates(doubted)
    assert [region.sources for region in regions] == [("probability",)]
    assert labels[15, 30, 20] == regions[0].label
    assert grid.spacing == (3.2, 3.2, 3.2)


def test_bright_region_is_a_candidate_if_the_other_side_is_not_bright() -> None:
    plain = patient()
    left, right = ball(((48, 52, 30), 11)), ball(((48, 52, 82), 11))
    for bright, expected in ((left, [("image",)]), (left | right, [])):
        flair = plain.scans["FLAIR"] + 2 * bright.astype(np.float32)
        _labels, regions, _grid = possible_candidates(replace(plain, scans={**plain.scans, "FLAIR": flair}))
        assert [region.sources for region in regions] == expected


def test_candidates_are_ranked_and_improbable_ones_left_out() -> None:
    smaller = ((60, 40, 25), 6)
    both = patient(MISSED, smaller)
    found = find_candidates(both, CALIBRATION).candidates
    assert [candidate.number for candidate in found] == [1, 2]
    assert found[0].probability > found[1].probability
    strict = replace(CALIBRATION, least_probability=found[0].probability)
    assert find_candidates(both, strict).candidates == found[:1]
