"""Modules TokenLearner and TokenFuser: from voxels to a few tokens and back (section 3.1.2, equations 2 to 4)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tokenunet.networks.blocks import VoxelMLP


class TokenMaps(NamedTuple):
    """Attention maps of one forward pass at the bottleneck's resolution, each (B, N, D, H, W).

    Attributes:
        token_learner: Maps A_N of equation 2: each is non-negative and sums to one over the voxels.
        token_fuser: Maps B_N of equation 4: weights of any sign, not normalized.
    """

    token_learner: Tensor
    token_fuser: Tensor


class TokenLearner(nn.Module):
    """Pooling of a feature map into N tokens, each with its own attention map (equations 2 and 3).

    Args:
        features: Number F of features of a voxel and of a token.
        tokens: Number N of tokens.
        hidden: Width of the hidden layer of MLP_TL.

    Shape:
        Features (B, F, D, H, W) to tokens (B, N, F) and attention maps A_N (B, N, D, H, W).
    """

    def __init__(self, features: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.mlp = VoxelMLP(features, hidden, tokens)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and attention maps."""
        scores = self.mlp(x)
        # Single precision: a softmax over many thousand voxels loses its small weights in half precision.
        maps = scores.flatten(2).softmax(dim=-1, dtype=torch.float32)
        pooled = torch.einsum("bnv,bfv->bnf", maps.to(x.dtype), x.flatten(2))
        return pooled, maps.view_as(scores)


class TokenFuser(nn.Module):
    """Distribution of N linearly mixed tokens over a feature map, with attention maps of its own (equation 4).

    The mixing matrix M has a bias: with it, the number of parameters is that of Table 1.

    Args:
        features: Number F of features of a voxel and of a token.
        tokens: Number N of tokens.
        hidden: Width of the hidden layer of MLP_TF.

    Shape:
        Features (B, F, D, H, W) and tokens (B, N, F) to features (B, F, D, H, W) and maps B_N (B, N, D, H, W).
    """

    def __init__(self, features: int, tokens: int, hidden: int) -> None:
        super().__init__()
        self.mlp = VoxelMLP(features, hidden, tokens)
        self.mix = nn.Linear(tokens, tokens)

    def forward(self, x: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and attention maps."""
        maps = self.mlp(x)
        mixed = self.mix(tokens.transpose(1, 2))  # (B, F, N): M acts on the token axis
        spread = torch.einsum("bnv,bfn->bfv", maps.flatten(2), mixed)
        return x + spread.view_as(x), maps
