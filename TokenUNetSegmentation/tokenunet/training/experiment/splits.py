"""Which cases train and which validate in each fold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tokenunet.core.errors import DatasetError
from tokenunet.data.cases import Case


@dataclass(frozen=True)
class Fold:
    """Names of the cases that train and of those that validate."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The folds of a cross-validation; every patient validates in exactly one.

    Attributes:
        seed: of the order in which the patients were dealt out.
        fingerprint: of the dataset that was split.
        folds: as many as there are folds.
    """

    seed: int
    fingerprint: str
    folds: tuple[Fold, ...]

    def to_json(self) -> str:
        """The text of ``splits.json``."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Splits":
        """The inverse of `to_json`."""
        values = json.loads(text)
        folds = tuple(Fold(tuple(f["training"]), tuple(f["validation"])) for f in values["folds"])
        return cls(values["seed"], values["fingerprint"], folds)


def split_cases(cases: Sequence[Case], folds: int, seed: int, fingerprint: str) -> Splits:
    """Deals the patients out at random; all time points of a patient stay together.

    Args:
        cases: in any order; the same cases and seed always give the same folds.
        folds: at least 2.
        seed: of the random order.
        fingerprint: of the dataset.

    Raises:
        DatasetError: where there are fewer patients than folds.
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
