"""Uncertainty of a measured change of volume.

Both volumes have a random error, whose standard deviation is a constant and a share of the volume, added in quadrature.
`tools.follow_up` measures both on synthetic patients whose tumor did not change between two scans in other poses, with
other contrasts and artifacts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tokenunet.core.regions import RegionName

_COVERAGE = 1.96
"""Standard deviations that hold 95 % of the changes that are none."""

_ENOUGH_PATIENTS = 20
"""From that many patients on, a standard deviation is known to within a sixth of itself."""


@dataclass(frozen=True)
class Repeatability:
    """Random error of the volumes of a model.

    Attributes:
        model: Name of the model, and the beginning of its weights' SHA-256.
        patients: Number of synthetic patients that it was measured on.
        errors: Constant in ml and share of the volume, by region: standard deviations of one measurement.
    """

    model: str
    patients: int
    errors: Mapping[RegionName, tuple[float, float]]

    @property
    def is_preliminary(self) -> bool:
        """Whether it was measured on too few patients to be relied on."""
        return self.patients < _ENOUGH_PATIENTS

    def change_ml(self, region: RegionName, before_ml: float, after_ml: float) -> float:
        """Return the change of a volume that 95 % of repeated scans of an unchanged tumor stay below.

        Args:
            region: Region of the volumes.
            before_ml: Earlier volume in ml.
            after_ml: Later volume in ml.

        Example:
            >>> round(Repeatability("model", 40, {"ET": (0.1, 0.05)}).change_ml("ET", 10, 10), 2)
            1.41
        """
        constant, share = self.errors[region]
        return _COVERAGE * math.sqrt(2 * constant**2 + (share * before_ml) ** 2 + (share * after_ml) ** 2)


DEFAULT = Repeatability(
    model="Token-UNet with transformer (3943bb43)",
    patients=40,
    errors={"WT": (7.31, 0.069), "TC": (0.2, 0.559), "ET": (0.2, 0.656)},
)
"""Random error of the default model, as `python -m tools.follow_up` measured it."""
