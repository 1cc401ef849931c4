"""What a network returns for one patient, on the prepared grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay
from tokenunet.core.regions import RegionName


@dataclass(frozen=True)
class AttentionMaps:
    """Attention maps of TokenLearner and TokenFuser at the bottleneck's resolution.

    Attributes:
        token_learner: How many times more than uniform every voxel counts, (N, d, h, w): A_n of equation 2 times the
            number of voxels, so that windows and volumes compare.
        token_fuser: Weights of either sign, (N, d, h, w): B_n of equation 4.
        grid: Grid of both; its voxels are as many times wider than those of the input as the bottleneck is coarser.
        regions: Regions to which the training tied the first maps of TokenLearner, in their order.
    """

    token_learner: NDArray[np.float32]
    token_fuser: NDArray[np.float32]
    grid: Grid
    regions: tuple[RegionName, ...] = ()

    def by_group(self) -> dict[str, NDArray[np.float32]]:
        """Return both stacks by the names of their overlay groups."""
        return {"token_learner": self.token_learner, "token_fuser": self.token_fuser}


@dataclass(frozen=True)
class ProbeMaps:
    """Readout of the frozen encoder by a linear probe.

    Attributes:
        shares: What each token adds to the logit of tumor at the bottleneck, and the rest, (N + 1, d, h, w).
        distance: Distance of the bottleneck's features from those of the training, (d, h, w); about 1 is usual.
        grid: Grid of both.
        fine: Logit of tumor one stage above the bottleneck, (2d, 2h, 2w).
        fine_grid: Grid of it.
    """

    shares: NDArray[np.float32]
    distance: NDArray[np.float32]
    grid: Grid
    fine: NDArray[np.float32]
    fine_grid: Grid

    @property
    def logits(self) -> NDArray[np.float32]:
        """Logit of tumor at the bottleneck, (d, h, w)."""
        return self.shares.sum(axis=0)


@dataclass(frozen=True)
class Prediction:
    """Region probabilities of one patient, and what else the network gave.

    Attributes:
        probabilities: Probabilities of WT, TC and ET on the prepared grid, (3, D, H, W); of an ensemble, their mean
            over the members.
        attention: Attention maps, if asked for. An ensemble's are those of its first member: the members' maps have no
            common order, so that they cannot be averaged.
        members: Probabilities of each member of an ensemble, (members, 3, D, H, W); None for a single network.
        probe: Readout of the encoder, if the model has a probe; of an ensemble, that of its first member.
        second_pass_dice: Dice between the whole tumors of the first and of the second pass; None without a second pass.
        second_pass_ml: Volume in ml that the second pass alone marks as whole tumor; None without a second pass.
        evidence: How sure the network is of the surest place in a region that was found, as a logit; only of regions
            of which the model asks a least value.
        unmarked_ml: Volume in ml of each region that is not marked for lack of evidence.
        overlays: Maps to display over the scans, made by `tokenunet.inference.overlays.with_overlays`.
    """

    probabilities: NDArray[np.float32]
    attention: AttentionMaps | None = None
    members: NDArray[np.float32] | None = None
    overlays: tuple[Overlay, ...] = ()
    probe: ProbeMaps | None = None
    second_pass_dice: float | None = None
    second_pass_ml: float | None = None
    evidence: Mapping[RegionName, float] = field(default_factory=dict)
    unmarked_ml: Mapping[RegionName, float] = field(default_factory=dict)

    @property
    def uncertainty(self) -> NDArray[np.float32] | None:
        """Ensemble uncertainty (D, H, W); None for a single network.

        The standard deviation over the members of the probability of whole tumor, from 0 where all say the same to 0.5
        where half of them are sure of tumor and half of none. Where networks trained apart differ, they are likely to
        be wrong (Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
        ensembles", NeurIPS 2017).
        """
        return None if self.members is None else self.members[:, 0].std(axis=0)
