"""Reliability of probabilities: of the voxels with a probability of 0.7, seven in ten should be tumor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.regions import REGIONS, RegionName

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Sums over voxels by region (in the order of `REGIONS`) and by tenth of the probability.

    Attributes:
        voxels: (3, 10), how many.
        probability: (3, 10), the sum of what was predicted.
        true: (3, 10), how many of them are of the region.
    """

    voxels: NDArray[np.float64]
    probability: NDArray[np.float64]
    true: NDArray[np.float64]

    @classmethod
    def of(
        cls, probabilities: NDArray[np.float32], truth: NDArray[np.bool_], brain: NDArray[np.bool_]
    ) -> "Reliability":
        """Of one patient, inside the brain.

        Args:
            probabilities: (3, D, H, W), 0 to 1.
            truth: (3, D, H, W).
            brain: (D, H, W).
        """
        voxels, predicted, true = (np.zeros((len(REGIONS), BINS)) for _ in range(3))
        for region, (p, t) in enumerate(zip(probabilities[:, brain], truth[:, brain], strict=True)):
            tenth = np.minimum((p * BINS).astype(np.intp), BINS - 1)
            voxels[region] = np.bincount(tenth, minlength=BINS)
            predicted[region] = np.bincount(tenth, weights=p, minlength=BINS)
            true[region] = np.bincount(tenth, weights=t, minlength=BINS)
        return cls(voxels, predicted, true)

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(self.voxels + other.voxels, self.probability + other.probability, self.true + other.true)

    @property
    def expected_calibration_error(self) -> dict[RegionName, float]:
        """Return the expected calibration error by region: the mean distance of probability and frequency."""
        gaps = np.abs(self.probability - self.true).sum(axis=1) / self.voxels.sum(axis=1)
        return {name: round(float(gap), 5) for name, gap in zip(REGIONS, gaps, strict=True)}

    def bins(self, region: RegionName) -> list[dict[str, Any]]:
        """Return the non-empty bins from low to high: number of voxels, mean probability and frequency of tumor."""
        row = REGIONS.index(region)
        return [
            {"voxels": int(n), "probability": round(float(p / n), 4), "frequency": round(float(t / n), 4)}
            for n, p, t in zip(self.voxels[row], self.probability[row], self.true[row], strict=True)
            if n
        ]
