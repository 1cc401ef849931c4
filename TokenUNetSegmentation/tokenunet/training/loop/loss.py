"""What a network is trained to lower."""

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional as F


class RegionLoss(nn.Module):
    """Mean of soft Dice and cross-entropy (section 3.3), each region on its own.

    Args:
        dice_smoothing: in voxels; it keeps the loss of an absent region small where next to nothing is predicted.
        absent_smoothing: in voxels, in place of it for regions of which a patch holds nothing; 0 takes the same. With
            little smoothing a single voxel marked there weighs as much as many missed elsewhere, and a network that
            often sees patients without a region learns to leave faint ones out.
    """

    def __init__(self, dice_smoothing: float, absent_smoothing: float = 0) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, smooth_nr=dice_smoothing, smooth_dr=dice_smoothing, reduction="none")
        self.absent_smoothing = absent_smoothing

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        """The loss of logits (B, R, D, H, W) against regions of the same shape, 0 or 1.

        It is computed in single precision, and is the mean over the patches of the batch.
        """
        regions = regions.to(torch.float32)
        logits = logits.float()
        dice = self.dice(logits, regions).flatten(1)
        if self.absent_smoothing:
            marked = logits.sigmoid().flatten(2).sum(-1)
            dice = torch.where(regions.flatten(2).any(-1), dice, marked / (marked + self.absent_smoothing))
        return 0.5 * dice.mean() + 0.5 * F.binary_cross_entropy_with_logits(logits, regions)
