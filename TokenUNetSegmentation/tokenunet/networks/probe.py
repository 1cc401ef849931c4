"""Linear probe of a Token-UNet's frozen encoder: how much tumor it has seen, whatever the decoder makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn


class ProbeOutput(NamedTuple):
    """Readout of one forward pass.

    Attributes:
        shares: What each token adds to the logit of tumor at the bottleneck, and the rest, (B, N + 1, d, h, w): their
            sum is the logit.
        fine: Logit of tumor one stage above the bottleneck, (B, 1, 2d, 2h, 2w).
        distance: Mean squared distance of a voxel's features from those of the training, in units of their variance,
            (B, 1, d, h, w).
    """

    shares: Tensor
    fine: Tensor
    distance: Tensor


class Probe(nn.Module):
    """Two logistic layers on frozen features: at the bottleneck, and one stage above for small lesions.

    TokenFuser adds B (M T) to the bottleneck's features (equation 4), so that the logit w·x + b splits exactly into one
    share for each token, B_n w·(M T)_n, and the rest, which was there before.

    Args:
        features: Number F of features of the bottleneck.
        fine_features: Number of features of the stage above it.

    Attributes:
        weight: Weights of the bottleneck's features, (F,).
        bias: Bias of the bottleneck's logit, (1,).
        fine_weight: Weights of the features one stage above.
        fine_bias: Bias of that logit, (1,).
        mean: Mean of the bottleneck's features in brains of the training, (F,).
        deviation: Their standard deviation, (F,).
    """

    weight: Tensor
    bias: Tensor
    fine_weight: Tensor
    fine_bias: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, features: int, fine_features: int) -> None:
        super().__init__()
        for name, size in (("weight", features), ("bias", 1), ("fine_weight", fine_features), ("fine_bias", 1)):
            self.register_buffer(name, torch.zeros(size))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    @contextmanager
    def attached(self, network: nn.Module) -> Iterator[list[ProbeOutput]]:
        """Read out the next forward passes of a Token-UNet, and yield the list that receives their outputs.

        Args:
            network: Token-UNet; its features are read where it computes them, which costs next to nothing.
        """
        outputs: list[ProbeOutput] = []
        fine: list[Tensor] = []

        def read_fine(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            fine.append(_linear(inputs[0], self.fine_weight, self.fine_bias)[:, None])

        def read_bottleneck(module: nn.Module, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
            (before, tokens), (after, maps) = inputs, output
            mixed = module.mix(tokens.transpose(1, 2)).float()  # type: ignore[operator]
            by_token = torch.einsum("f,bfn->bn", self.weight.to(mixed), mixed)[..., None, None, None] * maps.float()
            rest = _linear(before, self.weight, self.bias)[:, None]
            scaled = (after.float() - _per_feature(self.mean, after)) / _per_feature(self.deviation, after)
            distance = scaled.square().mean(dim=1, keepdim=True)
            outputs.append(ProbeOutput(torch.cat([by_token, rest], dim=1), fine.pop(), distance))

        hooks = (
            network.down[-1].conv.register_forward_pre_hook(read_fine),  # type: ignore[index, union-attr]
            network.fuser.register_forward_hook(read_bottleneck),  # type: ignore[union-attr]
        )
        try:
            yield outputs
        finally:
            for hook in hooks:
                hook.remove()


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the weighted sum of the features of (B, F, D, H, W), (B, D, H, W) in single precision."""
    return torch.einsum("f,bfdhw->bdhw", weight.to(x.device), x.float()) + bias.to(x.device)


def _per_feature(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device)[:, None, None, None]
