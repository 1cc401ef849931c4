"""Synthetic patients as training and validation cases.

Those of training are made when they are asked for, and none is seen twice. Those of validation are files like anybody's
patients: they are drawn from wider ranges, for what counts is how a network does outside what it was trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tokenunet.core.label_schemes import BRATS_LABELS
from tokenunet.core.regions import regions_from_labels
from tokenunet.core.sequences import SEQUENCES
from tokenunet.data import Case, Dataset, ImageSource
from tokenunet.preprocessing.prepare import normalize
from tokenunet.synthesis import SyntheticPatient, patient_name, synthetic_patient, write_patient

FIRST_SEEDS = 9 * 10**7
"""Trainings begin at seeds below it."""
VALIDATION_SEED = 10**9
"""Of the first validation patient; beyond the seeds of any training."""
VALIDATION_VARIETY = 1.3
LAYOUT = "synthetic patients"
_MISSING_SHARE = 0.3
"""Of the training's patients one sequence is missing, so that a network learns to do without it."""


@dataclass(frozen=True)
class SyntheticCase:
    """A patient that is made at the first look, with the interface of `tokenunet.training.samples.cases.TrainingCase`.

    Attributes:
        seed: of the patient.
        spacing: in mm; one of `tokenunet.synthesis.patient.SPACINGS`.
    """

    seed: int
    spacing: float

    @property
    def name(self) -> str:
        """Of the patient."""
        return patient_name(self.seed)

    @cached_property
    def _patient(self) -> SyntheticPatient:
        return synthetic_patient(self.seed, self.spacing)

    def image(self) -> NDArray[np.float32]:
        """(C, D, H, W) in the order of `SEQUENCES`, prepared as inference prepares a scan.

        A missing sequence's channel is 0 in the brain, too, which is the others' mean there.
        """
        images = self._patient.images
        brain = np.logical_or.reduce([image != 0 for image in images.values()])
        image = torch.stack([normalize(images[name], brain, self.name) for name in SEQUENCES]).numpy()
        random = np.random.default_rng(self.seed)
        if random.random() < _MISSING_SHARE:
            image[random.integers(len(SEQUENCES))] = 0
        return image

    def labels(self) -> NDArray[np.uint8]:
        """(D, H, W), exclusive labels."""
        return self._patient.labels

    def regions(self) -> NDArray[np.bool_]:
        """(3, D, H, W) in the order of `REGIONS`."""
        return regions_from_labels(self.labels())


class SyntheticCases(Sequence[SyntheticCase]):
    """A training's patients; each follows from the training's seed and its own number.

    Args:
        seed: of the training.
        first: number of the first patient; those before it are another training's.
        number: of patients.
        spacing: in mm.
    """

    def __init__(self, seed: int, first: int, number: int, spacing: float) -> None:
        self._first_seed = int(np.random.default_rng(seed).integers(FIRST_SEEDS)) + first
        self._number = number
        self._spacing = spacing

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, place: int) -> SyntheticCase:  # type: ignore[override]
        if not 0 <= place < self._number:
            raise IndexError(place)
        return SyntheticCase(self._first_seed + place, self._spacing)


def validation_dataset(folder: Path, patients: int) -> Dataset:
    """The validation patients as cases, whether or not their files are there yet.

    Args:
        folder: where the patients lie.
        patients: number.
    """
    cases = []
    for name in (patient_name(VALIDATION_SEED + number) for number in range(patients)):
        images = {s: ImageSource(folder / name / f"{name}_{s.lower()}.nii.gz") for s in SEQUENCES}
        cases.append(Case(name, name, images, folder / name / f"{name}_seg.nii.gz", BRATS_LABELS))
    return Dataset(folder, LAYOUT, tuple(cases))


def write_validation_patients(dataset: Dataset, spacing: float, on_patient: Callable[[int], None]) -> None:
    """Makes the files that are not there yet.

    Args:
        dataset: from `validation_dataset`.
        spacing: of the patients, in mm.
        on_patient: is told how many are there; may raise to stop.

    Raises:
        OutputError: where they cannot be written.
    """
    for number, case in enumerate(dataset.cases):
        on_patient(number)
        if case.truth is not None and not case.truth.exists():
            write_patient(synthetic_patient(VALIDATION_SEED + number, spacing, VALIDATION_VARIETY), dataset.folder)
    on_patient(len(dataset.cases))
