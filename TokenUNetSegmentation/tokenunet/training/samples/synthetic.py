"""Synthetic patients as training and validation cases.

Training patients are generated on demand and never repeated. Validation patients are files like those of a dataset;
they are drawn from wider ranges, to measure generalization beyond the training distribution.
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
"""Upper limit of the first seed of a training."""
VALIDATION_SEED = 10**9
"""Seed of the first validation patient, above the seeds of any training."""
VALIDATION_VARIETY = 1.3
LAYOUT = "synthetic patients"
_MISSING_SHARE = 0.3
"""Share of training patients without one of the sequences, so that a network learns to work without it."""


@dataclass(frozen=True)
class SyntheticCase:
    """Patient generated at first use; implements `tokenunet.training.samples.cases.TrainingCase`.

    Attributes:
        seed: Seed of the patient.
        spacing: Voxel size in mm; one of `tokenunet.synthesis.patient.SPACINGS`.
        complete: Whether all sequences are there; otherwise one of them is missing at times.
    """

    seed: int
    spacing: float
    complete: bool = False

    @property
    def name(self) -> str:
        """Name of the patient."""
        return patient_name(self.seed)

    @cached_property
    def _patient(self) -> SyntheticPatient:
        return synthetic_patient(self.seed, self.spacing)

    def image(self) -> NDArray[np.float32]:
        """Return the image (C, D, H, W) in the order of `SEQUENCES`, prepared as for inference.

        The channel of a missing sequence is 0, also inside the brain, where this is the mean of the others.
        """
        images = self._patient.images
        brain = np.logical_or.reduce([image != 0 for image in images.values()])
        image = torch.stack([normalize(images[name], brain, self.name) for name in SEQUENCES]).numpy()
        random = np.random.default_rng(self.seed)
        if not self.complete and random.random() < _MISSING_SHARE:
            image[random.integers(len(SEQUENCES))] = 0
        return image

    def labels(self) -> NDArray[np.uint8]:
        """Return the exclusive labels (D, H, W)."""
        return self._patient.labels

    def regions(self) -> NDArray[np.bool_]:
        """Return the regions (3, D, H, W) in the order of `REGIONS`."""
        return regions_from_labels(self.labels())


class SyntheticCases(Sequence[SyntheticCase]):
    """All synthetic patients of a training; each depends on the training's seed and its own number only.

    Args:
        seed: Seed of the training.
        first: Number of the first patient; earlier ones belong to an earlier stage.
        number: Number of patients.
        spacing: Voxel size in mm.
        complete: Whether all sequences are there, because others remove some later.
    """

    def __init__(self, seed: int, first: int, number: int, spacing: float, complete: bool = False) -> None:
        self._first_seed = int(np.random.default_rng(seed).integers(FIRST_SEEDS)) + first
        self._number = number
        self._spacing = spacing
        self._complete = complete

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, place: int) -> SyntheticCase:  # type: ignore[override]
        if not 0 <= place < self._number:
            raise IndexError(place)
        return SyntheticCase(self._first_seed + place, self._spacing, self._complete)


def validation_dataset(folder: Path, patients: int) -> Dataset:
    """Return the validation patients as cases, whose files need not exist yet.

    Args:
        folder: Folder of the patients.
        patients: Number of patients.
    """
    cases = []
    for name in (patient_name(VALIDATION_SEED + number) for number in range(patients)):
        images = {s: ImageSource(folder / name / f"{name}_{s.lower()}.nii.gz") for s in SEQUENCES}
        cases.append(Case(name, name, images, folder / name / f"{name}_seg.nii.gz", BRATS_LABELS))
    return Dataset(folder, LAYOUT, tuple(cases))


def write_validation_patients(dataset: Dataset, spacing: float, on_patient: Callable[[int], None]) -> None:
    """Generate the validation patients whose files do not exist yet.

    Args:
        dataset: Dataset from `validation_dataset`.
        spacing: Voxel size in mm.
        on_patient: Callback that receives the number of patients ready; may raise to stop.

    Raises:
        OutputError: If the files cannot be written.
    """
    for number, case in enumerate(dataset.cases):
        on_patient(number)
        if case.truth is not None and not case.truth.exists():
            write_patient(synthetic_patient(VALIDATION_SEED + number, spacing, VALIDATION_VARIETY), dataset.folder)
    on_patient(len(dataset.cases))
