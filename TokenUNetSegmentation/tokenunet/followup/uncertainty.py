"""Uncertainty of a measured change of volume.

Its square is a constant and a part in proportion to the larger volume. `tools.follow_up` measures both on synthetic
patients with two scans in other poses, with other contrasts and artifacts, whose tumor grew, shrank or stayed the same:
95 % of the measured changes differ from the true ones by less.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tokenunet.core.regions import RegionName

_ENOUGH_PATIENTS = 20
"""Number of patients from which on a 95 % quantile is not simply the largest error."""


@dataclass(frozen=True)
class Repeatability:
    """Error of measured changes of a model.

    Attributes:
        model: Name of the model, and the beginning of its weights' SHA-256.
        patients: Number of synthetic patients that it was measured on.
        errors: Constant in ml, and the square's increase for each ml of volume in ml, by region.
    """

    model: str
    patients: int
    errors: Mapping[RegionName, tuple[float, float]]

    @property
    def is_preliminary(self) -> bool:
        """Whether it was measured on too few patients to be relied on."""
        return self.patients < _ENOUGH_PATIENTS

    def change_ml(self, region: RegionName, before_ml: float, after_ml: float) -> float:
        """Return the error that 95 % of measured changes stay below; a smaller change may be none.

        Args:
            region: Region of the volumes.
            before_ml: Earlier volume in ml.
            after_ml: Later volume in ml.

        Example:
            >>> Repeatability("model", 40, {"ET": (3.0, 0.8)}).change_ml("ET", 10, 20)
            5.0
        """
        constant, per_ml = self.errors[region]
        return math.sqrt(constant**2 + per_ml * max(before_ml, after_ml))


DEFAULT = Repeatability(
    model="Token-UNet with transformer (3943bb43)",
    patients=80,
    errors={"WT": (1.77, 31.3), "TC": (2.32, 54.1), "ET": (1.9, 35.9)},
)
"""Error of the default model, as `python -m tools.follow_up` measured it."""
