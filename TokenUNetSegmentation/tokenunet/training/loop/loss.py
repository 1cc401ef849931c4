"""Loss functions."""

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional as F


class RegionLoss(nn.Module):
    """Mean of soft Dice and cross-entropy (section 3.3), averaged over the regions.

    Args:
        dice_smoothing: Smoothing of Dice in voxels, which keeps the loss of an absent region small if next to nothing
            is predicted.
        absent_smoothing: Smoothing used when a region is absent from the patch, in voxels; 0 reuses `dice_smoothing`.
            With little smoothing, a single false-positive voxel weighs as much as many missed ones elsewhere, and a
            network that often sees patients without a region learns to omit faint ones.
    """

    def __init__(self, dice_smoothing: float, absent_smoothing: float = 0) -> None:
        super().__init__()
        self.dice = DiceLoss(sigmoid=True, smooth_nr=dice_smoothing, smooth_dr=dice_smoothing, reduction="none")
        self.absent_smoothing = absent_smoothing

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        """Compute the loss in single precision, as the mean over the batch.

        Args:
            logits: Logits (B, R, D, H, W).
            regions: Ground truth of the same shape, 0 or 1.
        """
        regions = regions.to(torch.float32)
        logits = logits.float()
        dice = self.dice(logits, regions).flatten(1)
        if self.absent_smoothing:
            marked = logits.sigmoid().flatten(2).sum(-1)
            dice = torch.where(regions.flatten(2).any(-1), dice, marked / (marked + self.absent_smoothing))
        return 0.5 * dice.mean() + 0.5 * F.binary_cross_entropy_with_logits(logits, regions)
