"""Evaluation on real patients with a ground truth, and views of the results."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import DatasetError, UsageError
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.regions import RegionName
from tokenunet.core.sequences import SequenceName
from tokenunet.data import Case, read_dataset, read_scans, read_truth
from tokenunet.evaluation.segmented import (
    DiceScores,
    Predictor,
    brats_scores,
    dice_scores,
    segmented,
    true_regions,
    volumes_ml,
)
from tokenunet.evaluation.surface import surface_scores
from tokenunet.io.files import sha256_of
from tokenunet.preprocessing import prepare, restore
from tokenunet.preprocessing.restore import regions_on_grid

_SHOWN: tuple[SequenceName, ...] = ("T1ce", "FLAIR")


@dataclass(frozen=True)
class RealRow:
    """Result of one real patient.

    Attributes:
        name: Name of the case.
        volumes_ml: Volumes of the ground truth in ml, by region.
        predicted_ml: Volumes of the segmentation in ml, by region.
        dice: Dice by region.
        brats_dice: Dice by region, 1 or 0 if the ground truth lacks the region.
        hd95_mm: 95th percentile of the distances between the surfaces, by region.
        surface_dice: Share of the surfaces within `TOLERANCE_MM` of each other, by region.
    """

    name: str
    volumes_ml: dict[RegionName, float]
    predicted_ml: dict[RegionName, float]
    dice: DiceScores
    brats_dice: dict[RegionName, float]
    hd95_mm: dict[RegionName, float]
    surface_dice: dict[RegionName, float]


@dataclass(frozen=True)
class TumorFreeRow:
    """Result of one real brain without a tumor.

    Attributes:
        name: Name of the case.
        marked_ml: Volume that was segmented as tumor; all of it is false.
    """

    name: str
    marked_ml: float


@dataclass(frozen=True)
class ContourView:
    """Axial slice with the most tumor, cropped to the brain.

    Attributes:
        name: Name of the case.
        scans: T1ce and FLAIR, (H, W), z-scores, 0 outside the brain.
        truth: Regions (3, H, W) of the ground truth.
        predicted: Predicted regions (3, H, W).
    """

    name: str
    scans: dict[SequenceName, NDArray[np.float32]]
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]


def real_cases(folders: Sequence[Path]) -> list[Case]:
    """Return the cases of all folders, in any layout for training.

    Raises:
        DatasetError: If a folder contains no case, or one without a ground truth or with that of another case.
        UsageError: If two cases have the same name.
    """
    cases = _cases(folders)
    firsts: dict[str, Case] = {}
    for case in cases:
        if case.truth is None:
            raise DatasetError(f"{case.name} has no ground truth.", "Add its segmentation, such as X_seg.nii.gz.")
        if not case.truth.is_file():  # reading it says so
            continue
        first = firsts.setdefault(sha256_of(case.truth), case)
        if first is not case and sitk.GetArrayViewFromImage(read_truth(case)).any():
            raise DatasetError(
                f"The ground truth of {case.name}, {case.truth}, is that of {first.name}, too.",
                "Correct one of the two.",
            )
    return cases


def tumor_free_cases(folders: Sequence[Path]) -> list[Case]:
    """Return the cases of all folders; a segmentation is not needed, and ignored if there is one.

    Raises:
        DatasetError: If a folder holds no case.
        UsageError: If two cases have the same name.
    """
    return _cases(folders)


def _cases(folders: Sequence[Path]) -> list[Case]:
    cases: list[Case] = []
    for folder in folders:
        dataset = read_dataset(folder)
        if dataset.findings:
            raise DatasetError(dataset.findings[0].message)
        cases += dataset.cases
    for name, count in Counter(case.name for case in cases).items():
        if count > 1:
            raise UsageError(f"{count} real patients are called {name}.", "Give their folders names of their own.")
    return cases


def measure_real(case: Case, space: ModelSpace, predictor: Predictor) -> tuple[RealRow, ContourView]:
    """Segment a case and compare it with its ground truth on the grid of its T1ce; the view is on the model's grid.

    Raises:
        InputError: If the scans or the ground truth cannot be used.
    """
    truth = read_truth(case)
    done = segmented(read_scans(case), truth, space, predictor)
    row = RealRow(
        case.name,
        volumes_ml(done.truth, done.grid),
        volumes_ml(done.predicted, done.grid),
        dice_scores(done.predicted, done.truth),
        brats_scores(done.predicted, done.truth, done.grid),
        *surface_scores(done.predicted, done.truth, done.grid),
    )
    prepared = done.prepared
    true = true_regions(truth, prepared.grid)
    predicted = regions_on_grid(done.prediction.probabilities, prepared.grid, prepared.grid)
    tumor = true[0] if true[0].any() else prepared.brain
    z = int(np.argmax(tumor.sum(axis=(1, 2))))
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(prepared.brain[z]))
    scans = {name: prepared.tensor[space.channels.index(name), z, rows, columns].numpy() for name in _SHOWN}
    return row, ContourView(case.name, scans, true[:, z, rows, columns], predicted[:, z, rows, columns])


def measure_tumor_free(case: Case, space: ModelSpace, predictor: Predictor) -> TumorFreeRow:
    """Measure false positives in a brain without a tumor.

    Raises:
        InputError: If the scans cannot be used.
    """
    prepared = prepare(read_scans(case), space)
    return TumorFreeRow(case.name, restore(predictor(prepared), prepared).volumes_ml["WT"])
