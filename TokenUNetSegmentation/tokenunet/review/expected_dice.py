"""Expected Dice coefficient and volume of each region, with intervals, from signals that cost next to nothing.

The signals are those that are known to fall with the quality of a segmentation: how sure the network is of what it
segmented, how much of it is in doubt, whether both passes agree, how unusual the features are, and what is missing.
"""

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.prediction import ProbeMaps
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.review.calibration import ReviewCalibration, sigmoid
from tokenunet.review.patient import ReviewedPatient

_DOUBT = 0.1
"""Probability from which on a voxel that is not segmented is in doubt."""
_LEAST_ML = 0.5
"""Least segmented volume in ml for which anything is expected."""

RegionSignals = Mapping[RegionName, Mapping[str, float]]
"""Signals of each segmented region, by name."""


def expected_dice(found: RegionSignals, calibration: ReviewCalibration) -> dict[str, tuple[float, float, float]]:
    """Return the expected Dice coefficient of each segmented region and both ends of its 90 % interval.

    Args:
        found: Signals of the patient, from `signals`.
        calibration: Calibration of the model.

    Returns:
        Value, lower and upper end by region; without regions of which hardly anything is segmented.
    """
    estimates = {name: calibration.dice[name](values) for name, values in found.items()}
    return {name: (sigmoid(v), sigmoid(low), sigmoid(high)) for name, (v, low, high) in estimates.items()}


def volume_intervals(
    found: RegionSignals, volumes_ml: Mapping[str, float], calibration: ReviewCalibration
) -> dict[str, tuple[float, float]]:
    """Return the 90 % interval of the true volume of each segmented region in ml, if there is such a region at all.

    Args:
        found: Signals of the patient, from `signals`.
        volumes_ml: Segmented volumes by region.
        calibration: Calibration of the model.
    """
    ends = {name: calibration.volume[name](values)[1:] for name, values in found.items()}
    return {name: tuple(volumes_ml[name] * float(np.exp(end)) for end in both) for name, both in ends.items()}  # type: ignore[misc]


def signals(patient: ReviewedPatient) -> dict[RegionName, dict[str, float]]:
    """Return the signals by region, for each of which at least `_LEAST_ML` are segmented."""
    prediction, voxel_ml = patient.prediction, patient.grid.voxel_ml
    agreement = prediction.second_pass_dice
    common = {
        "second_pass": 0.0 if agreement is None else 1 - agreement,
        "unusual": 0.0,
        "unsegmented": 0.0,
        **{f"without_{name}": float(not scan.any()) for name, scan in patient.scans.items()},
    }
    if prediction.probe is not None:
        common |= _signals_of_probe(prediction.probe, patient)
    found: dict[RegionName, dict[str, float]] = {}
    for name, probability in zip(REGIONS, prediction.probabilities, strict=True):
        inside = probability[probability > 0.5]
        if len(inside) * voxel_ml < _LEAST_ML:
            continue
        doubtful = probability[(probability > _DOUBT) & (probability <= 0.5)]
        overlap = 2 * inside.sum() / (inside.sum() + doubtful.sum() + len(inside))
        found[name] = {
            **common,
            "overlap": _logit(float(overlap)),
            "uncertainty": float((4 * inside * (1 - inside)).mean()),
            "doubtful": float(np.log((len(doubtful) + 1) / (len(inside) + 1))),
            "log_ml": float(np.log(len(inside) * voxel_ml)),
        }
    return found


def _signals_of_probe(probe: ProbeMaps, patient: ReviewedPatient) -> dict[str, float]:
    """Return how unusual the brain's features are, and how much of the evidence of tumor is not segmented."""
    brain, segmented = (_shares(mask, patient, probe) for mask in (patient.brain, patient.segmented))
    evidence = brain / (1 + np.exp(-probe.logits))
    left, taken = (float((evidence * part).sum()) for part in (1 - segmented, segmented))
    return {
        "unusual": float(np.log((probe.distance * brain).sum() / brain.sum())),
        "unsegmented": float(np.log((left + 1) / (left + taken + 1))),
    }


def _shares(mask: NDArray[np.bool_], patient: ReviewedPatient, probe: ProbeMaps) -> NDArray[np.float32]:
    """Return the share of each voxel of the bottleneck that is in a mask."""
    image = patient.grid.image(mask.astype(np.float32))
    factors = [max(1, round(wide / own)) for wide, own in zip(probe.grid.spacing, patient.grid.spacing, strict=True)]
    averaged = sitk.BoxMean(image, [factor // 2 for factor in factors])
    return sitk.GetArrayFromImage(probe.grid.resample(averaged))


def _logit(p: float) -> float:
    p = min(max(p, 1e-3), 1 - 1e-3)
    return float(np.log(p / (1 - p)))
