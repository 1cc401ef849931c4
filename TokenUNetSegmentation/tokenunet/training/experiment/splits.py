"""Training and validation cases of each fold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tokenunet.core.errors import DatasetError
from tokenunet.data.cases import Case


@dataclass(frozen=True)
class Fold:
    """Split of one fold.

    Attributes:
        training: Names of the training cases.
        validation: Names of the validation cases.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """Folds of a cross-validation; every patient is in the validation cases of exactly one.

    Attributes:
        seed: Seed of the random order of patients.
        fingerprint: Fingerprint of the dataset.
        folds: Split of each fold.
    """

    seed: int
    fingerprint: str
    folds: tuple[Fold, ...]

    def to_json(self) -> str:
        """Return the text of ``splits.json``."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Splits":
        """Parse the text of ``splits.json``."""
        values = json.loads(text)
        folds = tuple(Fold(tuple(f["training"]), tuple(f["validation"])) for f in values["folds"])
        return cls(values["seed"], values["fingerprint"], folds)


def split_cases(cases: Sequence[Case], folds: int, seed: int, fingerprint: str) -> Splits:
    """Distribute the patients over the folds at random; all time points of a patient stay together.

    Args:
        cases: Cases in any order; the same cases and seed always give the same folds.
        folds: Number of folds, at least 2.
        seed: Seed of the random order.
        fingerprint: Fingerprint of the dataset.

    Raises:
        DatasetError: If there are fewer patients than folds.
    """
    patients = sorted({case.patient for case in cases})
    if folds < 2 or len(patients) < folds:
        raise DatasetError(
            f"{len(patients)} patients cannot be split into {folds} folds.", "Use at least 2 folds, or more patients."
        )
    order = np.random.default_rng(seed).permutation(len(patients))
    fold_of = {patients[patient]: place % folds for place, patient in enumerate(order)}
    names = sorted((case.name, fold_of[case.patient]) for case in cases)
    return Splits(
        seed,
        fingerprint,
        tuple(
            Fold(tuple(n for n, f in names if f != fold), tuple(n for n, f in names if f == fold))
            for fold in range(folds)
        ),
    )
