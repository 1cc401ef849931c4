"""A patient segmented the way users do it, beside the truth."""

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
"""A model as it runs."""
NEGLIGIBLE_ML = 0.5
"""Up to so much where nothing is counts as nothing."""
DiceScores = dict[RegionName, float | None]
"""By region; None where the truth has no such region, as Dice says nothing there."""


@dataclass(frozen=True)
class Segmented:
    """What a model says about a patient, and what is true.

    Attributes:
        prepared: the patient as the network took it.
        prediction: on the prepared grid.
        predicted: regions (3, z, y, x) on the reference scan's grid.
        truth: the same of the truth.
        grid: of the reference scan.
    """

    prepared: Prepared
    prediction: Prediction
    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    grid: Grid


def segmented(study: Study, truth: sitk.Image, space: ModelSpace, predictor: Predictor) -> Segmented:
    """Segments a patient by `prepare`, the predictor and `restore`.

    Args:
        study: the four scans.
        truth: exclusive labels, on any grid.
        space: of the model.
        predictor: the model.

    Raises:
        InputError: where the scans cannot be used.
    """
    prepared = prepare(study, space)
    prediction = predictor(prepared)
    result = restore(prediction, prepared)
    return Segmented(prepared, prediction, result.regions, true_regions(truth, result.grid), result.grid)


def true_regions(truth: sitk.Image, grid: Grid) -> NDArray[np.bool_]:
    """Regions (3, z, y, x) on a grid from exclusive labels on another one."""
    return regions_from_labels(sitk.GetArrayFromImage(grid.resample(truth, sitk.sitkNearestNeighbor)))


def dice_scores(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> DiceScores:
    """Dice of regions (3, ...) of one shape."""
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
    """Of regions (3, ...) on the grid."""
    return {name: round(float(r.sum()) * grid.voxel_ml, 3) for name, r in zip(REGIONS, regions, strict=True)}
