"""Token mixers between TokenLearner and TokenFuser (section 3.1.3, equations 5 and 6).

Every mixer maps tokens (B, N, d) to tokens (B, N, d); N does not depend on the size of the volume.
"""

from pathlib import Path
from typing import Literal

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from tokenunet.core.errors import UnusableWeightsError

TokenMixerName = Literal["identity", "transformer", "mlp_mixer"]


class Attention(nn.Module):
    """Multi-head self-attention with d x d query, key and value projections (equation 6).

    Args:
        width: Features d of a token.
        heads: Number of attention heads.

    Shape:
        Tokens (B, N, d) to tokens (B, N, d), as for all modules of this file.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended tokens."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(b, n, d))


class FeedForward(nn.Module):
    """Two linear layers with a GELU in between (FFN of equation 6)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed tokens."""
        return self.fc2(F.gelu(self.fc1(x)))


class TransformerBlock(nn.Module):
    """Pre-norm transformer encoder block (equation 5).

    Parameters have timm's names, so that the blocks of a Vision Transformer checkpoint can be loaded unchanged.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        # timm's epsilon, so that pre-trained blocks give the same output as in timm.
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = FeedForward(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens after attention and feed-forward network."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MixerBlock(nn.Module):
    """MLP-Mixer block: an MLP over the tokens, then one over the features (Tolstikhin et al. 2021)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.token_mlp = FeedForward(tokens, 4 * tokens)
        self.norm2 = nn.LayerNorm(width)
        self.feature_mlp = FeedForward(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed tokens."""
        x = x + self.token_mlp(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.feature_mlp(self.norm2(x))


def token_mixer(name: TokenMixerName, tokens: int, width: int, depth: int, heads: int) -> nn.Module:
    """Build a token mixer.

    Args:
        name: ``identity``, ``transformer`` or ``mlp_mixer``.
        tokens: Number of tokens.
        width: Features of a token.
        depth: Number of blocks.
        heads: Number of attention heads of a transformer.

    Raises:
        ValueError: If the name is unknown, or the width is not a multiple of the heads.
    """
    if name == "identity":
        return nn.Identity()
    if name == "transformer":
        if width % heads:
            raise ValueError(f"A token width of {width} is not a multiple of {heads} heads.")
        return nn.Sequential(*(TransformerBlock(width, heads) for _ in range(depth)))
    if name == "mlp_mixer":
        return nn.Sequential(*(MixerBlock(tokens, width) for _ in range(depth)))
    raise ValueError(f"Unknown token mixer {name!r}; choose identity, transformer or mlp_mixer.")


def load_transformer_blocks(mixer: nn.Module, path: Path) -> None:
    """Load the first blocks of a pre-trained Vision Transformer into a transformer token mixer.

    Args:
        mixer: Mixer from ``token_mixer("transformer", ...)``.
        path: Safetensors file with timm's names: ``blocks.0.norm1.weight`` and so on.

    Raises:
        UnusableWeightsError: If the file is not a safetensors file, has too few blocks, or another token width.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnusableWeightsError(f"{path} is not a readable safetensors file: {error}") from error
    blocks = {name.removeprefix("blocks."): value for name, value in tensors.items() if name.startswith("blocks.")}
    wanted = mixer.state_dict()
    for name, parameter in wanted.items():
        if name not in blocks:
            raise UnusableWeightsError(f"{path} has no tensor blocks.{name}, which the token mixer needs.")
        if blocks[name].shape != parameter.shape:
            raise UnusableWeightsError(
                f"{path} holds blocks.{name} of shape {tuple(blocks[name].shape)}; "
                f"the token mixer needs {tuple(parameter.shape)}. Set token_width to the file's width."
            )
    mixer.load_state_dict({name: blocks[name] for name in wanted})
