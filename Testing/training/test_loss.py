"""What a marked voxel costs in patients with and without a region."""

import pytest
import torch
from tokenunet.training.loop.loss import RegionLoss
from torch import Tensor
from torch.nn import functional as F

SHAPE = (2, 3, 4, 5, 6)


def patches() -> tuple[Tensor, Tensor]:
    """Random logits, and regions of which the first patch lacks the last and the second all."""
    generator = torch.Generator().manual_seed(3)
    regions = torch.rand(SHAPE, generator=generator) < 0.3
    regions[0, 2] = regions[1] = False
    return torch.randn(SHAPE, generator=generator), regions


@pytest.mark.parametrize(("given", "absent"), [(0.0, 50.0), (500.0, 500.0)])
def test_is_the_mean_of_soft_dice_and_cross_entropy(given: float, absent: float) -> None:
    logits, regions = patches()
    dice = []
    for patch in range(SHAPE[0]):
        for region in range(SHAPE[1]):
            probability, truth = logits[patch, region].sigmoid(), regions[patch, region].float()
            smoothing = 50.0 if truth.any() else absent
            overlap = 2 * (probability * truth).sum() + smoothing
            dice.append(1 - overlap / (probability.sum() + truth.sum() + smoothing))
    entropy = F.binary_cross_entropy(logits.sigmoid(), regions.float())
    expected = 0.5 * torch.stack(dice).mean() + 0.5 * entropy
    assert RegionLoss(50.0, given)(logits, regions).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_mark_where_nothing_is_costs_less_with_more_smoothing() -> None:
    nothing = torch.zeros(1, 1, 8, 8, 8)
    logits = torch.full(nothing.shape, -9.0)
    slopes = []
    for smoothing in (0.0, 500.0):
        marked = logits.clone().requires_grad_()
        RegionLoss(50.0, smoothing)(marked, nothing).backward()
        slopes.append(marked.grad.max().item())  # type: ignore[union-attr]
    assert 0 < slopes[1] < slopes[0]
