"""Evaluation of a model, patient by patient; `evidence_tables` summarizes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.core.events import Progress, Stage
from tokenunet.core.grid import Grid
from tokenunet.core.model_space import ModelSpace
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import RegionName
from tokenunet.data import Case
from tokenunet.evaluation.calibration import Reliability
from tokenunet.evaluation.holdout import HoldOut, healthy_patients, tumor_patients
from tokenunet.evaluation.real import ContourView, RealRow, TumorFreeRow, measure_real, measure_tumor_free
from tokenunet.evaluation.real_appearance import real_appearance_patients, with_real_appearance
from tokenunet.evaluation.robustness import Condition, conditions
from tokenunet.evaluation.segmented import (
    DiceScores,
    Predictor,
    Segmented,
    dice_scores,
    segmented,
    true_regions,
    volumes_ml,
)
from tokenunet.evaluation.synthetic_cases import synthetic_study
from tokenunet.inference.postprocessing import without_holes, without_small_components
from tokenunet.inference.predict import Execution, predict
from tokenunet.inference.request import InferenceOptions
from tokenunet.preprocessing import Prepared
from tokenunet.study.scans import Study
from tokenunet.synthesis import synthetic_patient

SCAN_SPACING = 1.0
"""Of the synthetic scans, in mm, whatever the model's: most scans that people have are about as fine."""
LEAST_COMPONENT_ML = 0.5
"""The smallest plausible part of a tumor, where small ones are dropped."""
Step = Callable[[NDArray[np.bool_], Grid], NDArray[np.bool_]]

AS_IT_IS = "as it is"
POSTPROCESSING: dict[str, Step] = {
    AS_IT_IS: lambda regions, grid: regions,
    f"without parts below {LEAST_COMPONENT_ML:g} ml": lambda regions, grid: without_small_components(
        regions, LEAST_COMPONENT_ML, grid.voxel_ml
    ),
    "holes filled": lambda regions, grid: without_holes(regions),
    "both": lambda regions, grid: without_holes(without_small_components(regions, LEAST_COMPONENT_ML, grid.voxel_ml)),
}
"""Steps that may follow the network, alone and together."""


@dataclass(frozen=True)
class TumorRow:
    """Result of a synthetic patient with a tumor.

    Attributes:
        seed: Seed of the patient.
        kind: Subtype of the tumor, `tokenunet.synthesis.Kind`.
        volumes_ml: Volumes of the ground truth in ml, by region.
        predicted_ml: Volumes of the segmentation in ml without postprocessing, by region.
        dice: Dice by name in `POSTPROCESSING`.
    """

    seed: int
    kind: str
    volumes_ml: dict[RegionName, float]
    predicted_ml: dict[RegionName, float]
    dice: dict[str, DiceScores]


@dataclass(frozen=True)
class HealthyRow:
    """Result of a synthetic brain without a tumor.

    Attributes:
        seed: Seed of the patient.
        false_ml: Volume of false positives in ml, by name in `POSTPROCESSING`.
    """

    seed: int
    false_ml: dict[str, float]


@dataclass(frozen=True)
class DisturbedRow:
    """Result of a synthetic patient with perturbed scans.

    Attributes:
        seed: Seed of the patient.
        condition: Name of a `tokenunet.evaluation.robustness.Condition`.
        dice: Dice without postprocessing.
        changed_voxels: Number of voxels of the whole tumor that differ from the unperturbed patient's segmentation.
    """

    seed: int
    condition: str
    dice: DiceScores
    changed_voxels: int


@dataclass(frozen=True)
class Evidence:
    """Results of an evaluation.

    Attributes:
        tumors: Results of synthetic patients with a tumor.
        healthy: Results of synthetic brains without a tumor.
        disturbed: Results of perturbed scans, for each condition and the first third of the patients.
        reliability: Reliability of the probabilities of all patients with a tumor.
        real_appearance: Synthetic patients whose tumors have the contrasts of real ones.
        tumor_free: Real brains without a tumor.
        real: Results of real patients.
        views: Views of the real patients.
    """

    tumors: tuple[TumorRow, ...]
    healthy: tuple[HealthyRow, ...]
    disturbed: tuple[DisturbedRow, ...]
    reliability: Reliability
    real_appearance: tuple[TumorRow, ...]
    tumor_free: tuple[TumorFreeRow, ...]
    real: tuple[RealRow, ...]
    views: tuple[ContourView, ...]


def gather(
    space: ModelSpace, patients: int, cases: Sequence[Case], predictor: Predictor, tumor_free: Sequence[Case] = ()
) -> Evidence:
    """Evaluate a model; `passes` returns the number of predictions.

    Args:
        space: Input space of the model.
        patients: Number of synthetic patients with a tumor, at least 1; half as many healthy ones are added, and half
            as many whose tumors look like real ones.
        cases: Real patients; they are evaluated first, since their files may be unusable.
        predictor: Function that runs the model.
        tumor_free: Real brains without a tumor.

    Raises:
        InputError: If a real patient cannot be used.
    """
    marked = [measure_tumor_free(case, space, predictor) for case in tumor_free]
    real, views = [], []
    for case in cases:
        row, view = measure_real(case, space, predictor)
        real.append(row)
        views.append(view)
    tumors, disturbed, reliability = [], [], None
    for number, patient in enumerate(tumor_patients(patients)):
        study, truth = made(patient)
        done = segmented(study, truth, space, predictor)
        tumors.append(tumor_row(patient, done))
        prepared = done.prepared
        of_patient = Reliability.of(done.prediction.probabilities, true_regions(truth, prepared.grid), prepared.brain)
        reliability = of_patient if reliability is None else reliability + of_patient
        if number < _disturbed(patients):
            disturbed += [
                disturbed_row(patient, condition, study, truth, space, predictor, done)
                for condition in conditions(space)
            ]
    assert reliability is not None
    healthy = [
        healthy_row(patient, segmented(*made(patient), space, predictor))
        for patient in healthy_patients(_healthy(patients))
    ]
    real_appearance = []
    for patient in real_appearance_patients(_healthy(patients)):
        study, truth = synthetic_study(with_real_appearance(patient, SCAN_SPACING))
        real_appearance.append(tumor_row(patient, segmented(study, truth, space, predictor)))
    return Evidence(
        tuple(tumors),
        tuple(healthy),
        tuple(disturbed),
        reliability,
        tuple(real_appearance),
        tuple(marked),
        tuple(real),
        tuple(views),
    )


def passes(space: ModelSpace, patients: int, cases: Sequence[Case], tumor_free: Sequence[Case] = ()) -> int:
    """Return the number of predictions of `gather`."""
    real = len(cases) + len(tumor_free)
    return patients + 2 * _healthy(patients) + _disturbed(patients) * len(conditions(space)) + real


def _healthy(patients: int) -> int:
    return -(-patients // 2)


def _disturbed(patients: int) -> int:
    return -(-patients // 3)


def made(patient: HoldOut) -> tuple[Study, sitk.Image]:
    """Return the scans and true labels of a patient."""
    return synthetic_study(synthetic_patient(patient.seed, SCAN_SPACING, kind=patient.kind))


def tumor_row(patient: HoldOut, done: Segmented) -> TumorRow:
    """Return the result of a patient with a tumor."""
    return TumorRow(
        patient.seed,
        patient.kind.value,
        volumes_ml(done.truth, done.grid),
        volumes_ml(done.predicted, done.grid),
        {name: dice_scores(step(done.predicted, done.grid), done.truth) for name, step in POSTPROCESSING.items()},
    )


def healthy_row(patient: HoldOut, done: Segmented) -> HealthyRow:
    """Return the result of a healthy brain."""
    return HealthyRow(
        patient.seed,
        {name: volumes_ml(step(done.predicted, done.grid), done.grid)["WT"] for name, step in POSTPROCESSING.items()},
    )


def disturbed_row(
    patient: HoldOut,
    condition: Condition,
    study: Study,
    truth: sitk.Image,
    space: ModelSpace,
    predictor: Predictor,
    undisturbed: Segmented,
) -> DisturbedRow:
    """Segments a patient under a condition, and notes what that changed."""
    done = segmented(
        condition.change_study(study, patient.seed),
        truth,
        space,
        lambda prepared: predictor(condition.change_prepared(prepared)),
    )
    whole = undisturbed.grid.resample(done.grid.image(done.predicted[0].astype(np.uint8)), sitk.sitkNearestNeighbor)
    changed = (sitk.GetArrayViewFromImage(whole) > 0) != undisturbed.predicted[0]
    return DisturbedRow(patient.seed, condition.name, dice_scores(done.predicted, done.truth), int(changed.sum()))


class CountedModel:
    """Predictor that reports the progress of all predictions.

    Attributes:
        bundle: The model; another one of the same input space may take its place.
        execution: Execution of the last prediction; None before the first one.
    """

    def __init__(self, bundle: ModelBundle, progress: Progress, passes: int) -> None:
        self.execution: Execution | None = None
        self.bundle = bundle
        self._progress, self._passes = progress, passes
        self._done = 0

    def __call__(self, prepared: Prepared) -> Prediction:
        """Predict one patient and update the progress."""
        prediction, self.execution = predict(
            prepared,
            self.bundle,
            InferenceOptions(),
            on_fraction=lambda fraction: self._progress.update(Stage.MEASURE, (self._done + fraction) / self._passes),
        )
        self._done += 1
        return prediction
