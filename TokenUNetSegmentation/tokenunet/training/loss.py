"""What a network is trained to lower."""

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional as F


class RegionLoss(nn.Module):
    """Mean of soft Dice and cross-entropy (section 3.3), each region on its own.

    Args:
        dice_smoothing: in voxels; it keeps the loss of an absent region small where next to nothing is predicted.
    """

    def __init__(self, dice_smoothing: float) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, smooth_nr=dice_smoothing, smooth_dr=dice_smoothing)

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        """The loss of logits (B, R, D, H, W) against regions of the same shape, 0 or 1.

        It is computed in single precision, and is the mean over the patches of the batch.
        """
        regions = regions.to(torch.float32)
        logits = logits.float()
        return 0.5 * self.dice(logits, regions) + 0.5 * F.binary_cross_entropy_with_logits(logits, regions)
