"""Hold-out of synthetic patients, used in no training, calibration or choice of thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenunet.synthesis import Kind

FIRST_SEED = 6 * 10**9
"""Far from the seeds of training, validation, map calibration and review candidates."""
FIRST_HEALTHY_SEED = 7 * 10**9
SIZES_ML = {"below 20 ml": 20.0, "20 to 60 ml": 60.0, "above 60 ml": float("inf")}
"""Classes of tumors by the upper end of the whole tumor's volume; a fifth of the patients are in the first."""
_TUMORS = tuple(kind for kind in Kind if kind is not Kind.HEALTHY)


@dataclass(frozen=True)
class HoldOut:
    """Patient of the hold-out, for `tokenunet.synthesis.synthetic_patient`."""

    seed: int
    kind: Kind


def tumor_patients(number: int) -> Sequence[HoldOut]:
    """Return patients with all subtypes of tumor in turn, so that rare ones are measured as well as frequent ones."""
    return [HoldOut(FIRST_SEED + i, _TUMORS[i % len(_TUMORS)]) for i in range(number)]


def healthy_patients(number: int) -> Sequence[HoldOut]:
    """Return patients without a tumor, but with everything else that may look like one."""
    return [HoldOut(FIRST_HEALTHY_SEED + i, Kind.HEALTHY) for i in range(number)]


def size_class(whole_tumor_ml: float) -> str:
    """Return the class of `SIZES_ML` of a tumor."""
    return next(name for name, end_ml in SIZES_ML.items() if whole_tumor_ml < end_ml)
