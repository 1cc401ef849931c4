"""What a network says about one patient, on the prepared grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenunet.grid import Grid


@dataclass(frozen=True)
class AttentionMasks:
    """The masks of TokenLearner and TokenFuser at the bottleneck's resolution.

    Attributes:
        token_learner: (N, d, h, w); how many times more than uniform a place counts: A_n of equation 2 times the
            number of voxels, so that windows and volumes compare.
        token_fuser: (N, d, h, w); B_n of equation 4, of any sign.
        grid: of both; a voxel is eight voxels of the network's input wide.
    """

    token_learner: NDArray[np.float32]
    token_fuser: NDArray[np.float32]
    grid: Grid

    def by_kind(self) -> dict[str, NDArray[np.float32]]:
        """Both stacks by the name that files and reports give them."""
        return {"token_learner": self.token_learner, "token_fuser": self.token_fuser}


@dataclass(frozen=True)
class Prediction:
    """Probabilities and masks of one patient.

    Attributes:
        probabilities: (3, D, H, W) of WT, TC and ET, on the prepared grid.
        masks: where they were asked for.
    """

    probabilities: NDArray[np.float32]
    masks: AttentionMasks | None = None
