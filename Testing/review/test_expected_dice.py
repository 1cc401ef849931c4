"""Signals of the quality of a segmentation, and what a calibration makes of them."""

from dataclasses import replace

import numpy as np
import pytest
from review.test_candidates import CALIBRATION, MISSED, patient
from tokenunet.review.calibration import IntervalModel, LinearModel, ReviewCalibration, sigmoid
from tokenunet.review.expected_dice import expected_dice, signals, volume_intervals

INTERVAL = IntervalModel(LinearModel({"overlap": 1.0}, -1.0), LinearModel({"uncertainty": 1.0}, 0.0), -1.0, 0.5)
CALIBRATED = replace(CALIBRATION, dice=dict.fromkeys(("WT", "TC", "ET"), INTERVAL), volume={"WT": INTERVAL})


def test_signals_rise_with_doubt_and_with_unsegmented_evidence() -> None:
    sure, missed = signals(patient())["WT"], signals(patient(MISSED))["WT"]
    assert missed["unsegmented"] > sure["unsegmented"] + 0.2
    one = patient()
    doubtful = replace(one, prediction=replace(one.prediction, probabilities=one.prediction.probabilities * 0.6))
    unsure = signals(doubtful)["WT"]
    assert unsure["overlap"] < sure["overlap"]
    assert unsure["uncertainty"] > sure["uncertainty"]
    assert sure["without_T1ce"] == 1
    assert sure["without_FLAIR"] == 0


def test_expected_dice_has_an_interval_that_doubt_widens() -> None:
    value, low, high = expected_dice(signals(patient()), CALIBRATED)["WT"]
    assert 0 < low < value < high < 1
    center = signals(patient())["WT"]["overlap"] - 1
    assert value == pytest.approx(sigmoid(center))
    spread = np.exp(signals(patient())["WT"]["uncertainty"])
    assert low == pytest.approx(sigmoid(center - spread))


def test_volume_interval_scales_the_segmented_volume() -> None:
    only_whole = replace(patient(), prediction=replace(patient().prediction))
    probabilities = only_whole.prediction.probabilities.copy()
    probabilities[1:] = 0
    only_whole = replace(only_whole, prediction=replace(only_whole.prediction, probabilities=probabilities))
    one, two = (volume_intervals(signals(only_whole), {"WT": ml}, CALIBRATED)["WT"] for ml in (10.0, 20.0))
    assert two == pytest.approx([2 * end for end in one])
    assert one[0] < one[1]


def test_nothing_is_expected_of_a_region_that_is_not_segmented() -> None:
    one = patient()
    empty = replace(one, prediction=replace(one.prediction, probabilities=0 * one.prediction.probabilities))
    assert expected_dice(signals(empty), CALIBRATED) == {}


@pytest.mark.parametrize("change", [{"least_probability": "x"}, {"candidate": {}}, {"dice": {"WT": {"low": 1}}}])
def test_damaged_calibration_is_refused(change: dict[str, object]) -> None:
    good = {
        "weights_sha256": "a",
        "calibrated_on": "",
        "candidate": {"weights": {}, "bias": 0},
        "least_probability": 0.5,
        "dice": {},
        "volume": {},
    }
    assert ReviewCalibration.from_json(good).least_probability == 0.5
    with pytest.raises((ValueError, KeyError, TypeError)):
        ReviewCalibration.from_json(good | change)
