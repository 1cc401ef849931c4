"""What a network says about one patient, on the prepared grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.grid import Grid


@dataclass(frozen=True)
class AttentionMaps:
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
    """Probabilities and attention maps of one patient.

    Attributes:
        probabilities: (3, D, H, W) of WT, TC and ET, on the prepared grid; of an ensemble, the mean of its members'.
        attention: Attention maps, if asked for. An ensemble's are those of its first member: the members' maps have no
            common order, so that they cannot be averaged.
        members: of an ensemble, the probabilities of each of its networks, (members, 3, D, H, W).
    """

    probabilities: NDArray[np.float32]
    attention: AttentionMaps | None = None
    members: NDArray[np.float32] | None = None

    @property
    def disagreement(self) -> NDArray[np.float32] | None:
        """Where the members of an ensemble differ: (D, H, W), None where there is one network.

        The standard deviation over the members of the probability of whole tumor, from 0 where all say the same to 0.5
        where half of them are sure of tumor and half of none. What networks trained apart disagree on is likely to be
        wrong (Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep ensembles",
        NeurIPS 2017).
        """
        return None if self.members is None else self.members[:, 0].std(axis=0)
