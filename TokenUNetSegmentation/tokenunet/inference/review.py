"""Review of a prediction by the calibration of its model: candidates, expected Dice and intervals of the volumes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.grid import Grid
from tokenunet.core.prediction import Prediction
from tokenunet.preprocessing import Prepared, Result
from tokenunet.review.candidates import ReviewCandidates, find_candidates
from tokenunet.review.expected_dice import expected_dice, signals, volume_intervals
from tokenunet.review.patient import ReviewedPatient


@dataclass(frozen=True)
class Review:
    """Review of one patient's segmentation.

    Attributes:
        candidates: Regions that may have been missed.
        labels: Labelmap (z, y, x) of their numbers on the reference's grid, 0 elsewhere.
        expected_dice: Expected Dice coefficient and both ends of its interval, by region.
        volume_intervals_ml: Interval of the true volume in ml, by region.
        calibrated_on: Patients of the calibration, in words.
    """

    candidates: ReviewCandidates
    labels: NDArray[np.uint8]
    expected_dice: Mapping[str, tuple[float, float, float]]
    volume_intervals_ml: Mapping[str, tuple[float, float]]
    calibrated_on: str

    def to_json(self, unclaimed: Collection[str]) -> dict[str, Any]:
        """Return the entries of the run report.

        Args:
            unclaimed: Regions of which nothing is claimed.
        """
        return {
            "review_candidates": [candidate.to_json() for candidate in self.candidates.candidates],
            "expected_dice": {
                name: dict(zip(("value", "low", "high"), (round(v, 3) for v in values), strict=True))
                for name, values in self.expected_dice.items()
                if name not in unclaimed
            },
            "volumes_interval_ml": {
                name: [round(end, 3) for end in ends]
                for name, ends in self.volume_intervals_ml.items()
                if name not in unclaimed
            },
            "review_calibrated_on": self.calibrated_on,
        }


def review(prediction: Prediction, prepared: Prepared, result: Result, bundle: ModelBundle) -> Review | None:
    """Review a segmentation; None if nothing was calibrated for the model's weights.

    Args:
        prediction: Prediction on the prepared grid.
        prepared: Patient in the model's space.
        result: Segmentation on the grids of the scans.
        bundle: Model of the prediction.
    """
    calibration = bundle.review
    if calibration is None:
        return None
    patient = reviewed_patient(prediction, prepared, bundle.manifest.space.channels)
    candidates = find_candidates(patient, calibration)
    found = signals(patient)
    return Review(
        candidates,
        _unsegmented(candidates, result.grid, result.regions[0]),
        expected_dice(found, calibration),
        volume_intervals(found, result.volumes_ml, calibration),
        calibration.calibrated_on,
    )


def reviewed_patient(prediction: Prediction, prepared: Prepared, channels: tuple[str, ...]) -> ReviewedPatient:
    """Return what a review needs of a prediction.

    Args:
        prediction: Prediction on the prepared grid.
        prepared: Patient in the model's space.
        channels: Names of the channels of the prepared tensor.
    """
    return ReviewedPatient(
        dict(zip(channels, prepared.tensor.numpy(), strict=True)),
        prepared.brain,
        prediction.probabilities[0] > 0.5,
        prediction,
        prepared.grid,
    )


def _unsegmented(candidates: ReviewCandidates, grid: Grid, segmented: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the labelmap of the candidates on another grid, without what is segmented there."""
    labels = grid.resample(candidates.grid.image(candidates.labels), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(labels) * ~segmented
