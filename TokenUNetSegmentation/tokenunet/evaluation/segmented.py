"""Patient segmented like a user's, with the ground truth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.dice import dice
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import REGIONS, RegionName, regions_from_labels
from tokenunet.preprocessing import Prepared, prepare, restore
from tokenunet.study.scans import Study

Predictor = Callable[[Prepared], Prediction]
"""Function that runs a model on a prepared patient."""
NEGLIGIBLE_ML = 0.5
"""Largest volume of false positives that counts as none."""
DiceScores = dict[RegionName, float | None]
"""Dice by region; None if the ground truth lacks the region, for which Dice is meaningless."""


@dataclass(frozen=True)
class Segmented:
    """Prediction and ground truth of a patient.

    Attributes:
        prepared: Input of the network.
        prediction: Prediction on the prepared grid.
        predicted: Predicted regions (3, z, y, x) on the reference scan's grid.
        truth: Regions of the ground truth on the same grid.
        grid: Grid of the reference scan.
    """

    prepared: Prepared
    prediction: Prediction
    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    grid: Grid


def segmented(study: Study, truth: sitk.Image, space: ModelSpace, predictor: Predictor) -> Segmented:
    """Segment a patient by `prepare`, the predictor and `restore`.

    Args:
        study: Scans of the patient.
        truth: Exclusive labels of the ground truth, on any grid.
        space: Input space of the model.
        predictor: Function that runs the model.

    Raises:
        InputError: If the scans cannot be used.
    """
    prepared = prepare(study, space)
    prediction = predictor(prepared)
    result = restore(prediction, prepared)
    return Segmented(prepared, prediction, result.regions, true_regions(truth, result.grid), result.grid)


def true_regions(truth: sitk.Image, grid: Grid) -> NDArray[np.bool_]:
    """Resample exclusive labels to a grid and return them as regions (3, z, y, x)."""
    return regions_from_labels(sitk.GetArrayFromImage(grid.resample(truth, sitk.sitkNearestNeighbor)))


def dice_scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> DiceScores:
    """Return Dice of regions (3, ...) of one shape."""
    pairs = zip(REGIONS, predicted, truth, strict=True)
    return {name: round(dice(p, t), 4) if t.any() else None for name, p, t in pairs}


def brats_scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], grid: Grid) -> dict[RegionName, float]:
    """Return Dice of regions (3, ...) on the grid, 1 or 0 where there is no such region.

    It is 1 where at most `NEGLIGIBLE_ML` are marked there. BraTS demands that no voxel is; the rest is its rule.
    """
    marked = volumes_ml(predicted, grid)
    return {
        name: float(marked[name] <= NEGLIGIBLE_ML) if score is None else score
        for name, score in dice_scores(predicted, truth).items()
    }


def volumes_ml(regions: NDArray[np.bool_], grid: Grid) -> dict[RegionName, float]:
    """Return the volumes in ml of regions (3, ...) on a grid."""
    return {name: round(float(r.sum()) * grid.voxel_ml, 3) for name, r in zip(REGIONS, regions, strict=True)}
