import numpy as np
import pytest
from tokenunet.evaluation.calibration import Reliability

SHAPE = (20, 30, 40)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[2:, 3:, 4:] = True


def uniform(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((3, *SHAPE), np.float32)


def test_probabilities_that_come_true_have_next_to_no_error() -> None:
    p = uniform()
    truth = uniform(1) < p
    found = Reliability.of(p, truth, BRAIN)
    assert all(error < 0.02 for error in found.expected_calibration_error.values())
    bins = found.bins("TC")
    assert [b["probability"] for b in bins] == pytest.approx(np.arange(0.05, 1, 0.1), abs=0.01)
    assert sum(b["voxels"] for b in bins) == BRAIN.sum()


def test_the_error_is_how_far_probability_and_frequency_are_apart() -> None:
    p = np.zeros((3, *SHAPE), np.float32)
    p[0], p[1], p[2] = 0.8, 1.0, 0.3
    truth = np.zeros((3, *SHAPE), bool)
    truth[0] = uniform(2)[0] < 0.5
    truth[1] = True
    share = truth[0][BRAIN].mean()
    found = Reliability.of(p, truth, BRAIN)
    errors = found.expected_calibration_error
    assert errors["WT"] == pytest.approx(0.8 - share, abs=1e-4)
    assert errors["TC"] == 0
    assert errors["ET"] == pytest.approx(0.3, abs=1e-4)
    assert found.bins("TC") == [{"voxels": int(BRAIN.sum()), "probability": 1.0, "frequency": 1.0}]


def test_patients_add_up_and_what_is_outside_the_brain_does_not_count() -> None:
    p, truth = uniform(), uniform(1) < 0.5
    whole = Reliability.of(p, truth, BRAIN)
    upper, lower = BRAIN.copy(), BRAIN.copy()
    upper[10:], lower[:10] = False, False
    parts = Reliability.of(p, truth, upper) + Reliability.of(p, truth, lower)
    assert parts.expected_calibration_error == whole.expected_calibration_error
    other = truth ^ ~BRAIN
    assert Reliability.of(p, other, BRAIN).expected_calibration_error == whole.expected_calibration_error
