"""What is reviewed: one segmented patient on the prepared grid."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.prediction import Prediction


@dataclass(frozen=True)
class ReviewedPatient:
    """Segmented patient.

    Attributes:
        scans: Normalized scans (D, H, W) by channel; 0 outside the brain, and everywhere if the channel is missing.
        brain: Brain mask (D, H, W).
        segmented: Segmented whole tumor (D, H, W).
        prediction: Prediction of the network.
        grid: Grid of all of them.
    """

    scans: Mapping[str, NDArray[np.float32]]
    brain: NDArray[np.bool_]
    segmented: NDArray[np.bool_]
    prediction: Prediction
    grid: Grid
