"""Real patients with a truth: how well a model does on them, and a slice to see it in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
from tokenunet.preprocessing import prepare, restore
from tokenunet.preprocessing.restore import regions_on_grid

_SHOWN: tuple[SequenceName, ...] = ("T1ce", "FLAIR")


@dataclass(frozen=True)
class RealRow:
    """One real patient.

    Attributes:
        name: of the case.
        volumes_ml: of the truth, by region.
        predicted_ml: of the segmentation, by region.
        dice: by region.
        brats_dice: Dice by region, 1 or 0 where the truth has no such region.
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
    """One real brain without a tumor.

    Attributes:
        name: Name of the case.
        marked_ml: Volume that was segmented as tumor; all of it is false.
    """

    name: str
    marked_ml: float


@dataclass(frozen=True)
class ContourView:
    """The axial slice with the most tumor, cut to the brain.

    Attributes:
        name: of the case.
        scans: T1ce and FLAIR, (H, W), z-scores, 0 outside the brain.
        truth: regions (3, H, W).
        predicted: regions (3, H, W).
    """

    name: str
    scans: dict[SequenceName, NDArray[np.float32]]
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]


def real_cases(folders: Sequence[Path]) -> list[Case]:
    """The cases of all folders, in any layout that training understands.

    Raises:
        DatasetError: where a folder holds no case, or one without a truth.
        UsageError: where two cases have the same name.
    """
    cases = _cases(folders)
    for case in cases:
        if case.truth is None:
            raise DatasetError(f"{case.name} has no truth.", "Add its segmentation, such as X_seg.nii.gz.")
    return cases


def tumor_free_cases(folders: Sequence[Path]) -> list[Case]:
    """Return the cases of all folders; they need no segmentation, and one that lies there is ignored.

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
    """Segments a case and compares it with its truth on the grid of its T1ce; the view is on the model's grid.

    Raises:
        InputError: where the scans or the truth cannot be used.
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
    """Return what is segmented in a brain that has no tumor.

    Raises:
        InputError: If the scans cannot be used.
    """
    prepared = prepare(read_scans(case), space)
    return TumorFreeRow(case.name, restore(predictor(prepared), prepared).volumes_ml["WT"])
