"""TokenLearner and TokenFuser: from voxels to a few tokens and back (section 3.1.2, equations 2 to 4)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tokenunet.networks.blocks import VoxelMLP


class TokenMaps(NamedTuple):
    """The spatial maps of one forward pass, at the bottleneck's resolution, each (B, N, D, H, W).

    ``token_learner`` is A_N of equation 2: every map is non-negative and sums to one over the voxels.
    ``token_fuser`` is B_N of equation 4: weights of any sign, not normalized.
    """

    token_learner: Tensor
    token_fuser: Tensor


class TokenLearner(nn.Module):
    """Pools N tokens from a feature map, each with its own spatial attention map (equations 2 and 3).

    Shape:
        Features (B, F, D, H, W) to tokens (B, N, F) and maps A_N (B, N, D, H, W).
    """

    def __init__(self, features: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.mlp = VoxelMLP(features, hidden, tokens)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.mlp(x)
        # Single precision: a softmax over many thousand voxels loses its small weights in half precision.
        maps = scores.flatten(2).softmax(dim=-1, dtype=torch.float32)
        pooled = torch.einsum("bnv,bfv->bnf", maps.to(x.dtype), x.flatten(2))
        return pooled, maps.view_as(scores)


class TokenFuser(nn.Module):
    """Spreads N tokens over a feature map with maps of its own, after mixing them linearly (equation 4).

    The mixing matrix M carries a bias: with it the parameters add up to Table 1's count.

    Shape:
        Features (B, F, D, H, W) and tokens (B, N, F) to features (B, F, D, H, W) and maps B_N (B, N, D, H, W).
    """

    def __init__(self, features: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.mlp = VoxelMLP(features, hidden, tokens)
        self.mix = nn.Linear(tokens, tokens)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.mlp(x)
        mixed = self.mix(tokens.transpose(1, 2))  # (B, F, N): M acts on the token axis
        spread = torch.einsum("bnv,bfn->bfv", maps.flatten(2), mixed)
        return x + spread.view_as(x), maps
