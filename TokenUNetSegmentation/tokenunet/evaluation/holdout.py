"""The hold-out: synthetic patients that no training, calibration or choice of limits has seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenunet.synthesis import Kind

FIRST_SEED = 6 * 10**9
"""Far from the seeds of training, validation, mask calibration and review hints."""
FIRST_HEALTHY_SEED = 7 * 10**9
SIZES_ML = {"below 20 ml": 20.0, "20 to 60 ml": 60.0, "above 60 ml": float("inf")}
"""Classes of tumours by the upper end of the whole tumour's volume; a fifth of the patients are in the first."""
_TUMOURS = tuple(kind for kind in Kind if kind is not Kind.HEALTHY)


@dataclass(frozen=True)
class HoldOut:
    """A patient of the hold-out, to be made with `tokenunet.synthesis.synthetic_patient`."""

    seed: int
    kind: Kind


def tumour_patients(number: int) -> Sequence[HoldOut]:
    """Patients with the kinds of tumour in turn, so that rare kinds are measured as well as frequent ones."""
    return [HoldOut(FIRST_SEED + i, _TUMOURS[i % len(_TUMOURS)]) for i in range(number)]


def healthy_patients(number: int) -> Sequence[HoldOut]:
    """Patients without a tumour, but with all else that may look like one."""
    return [HoldOut(FIRST_HEALTHY_SEED + i, Kind.HEALTHY) for i in range(number)]


def size_class(whole_tumour_ml: float) -> str:
    """The class of `SIZES_ML` that a tumour is in."""
    return next(name for name, end_ml in SIZES_ML.items() if whole_tumour_ml < end_ml)
