"""Networks UNet** and Token-UNet (figures 1 and 3; Table 1)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from tokenunet.networks.blocks import ResidualBlock, VoxelMLP
from tokenunet.networks.mixers import TokenMixerName, token_mixer
from tokenunet.networks.tokens import TokenFuser, TokenLearner, TokenMaps


class UNetStar(nn.Module):
    """UNet**: one residual block per stage, with additive skip connections (section 3.1.1).

    Args:
        in_channels: Number of sequences.
        out_channels: Number of regions.
        channels: Number of features of each stage, from full resolution to the bottleneck.

    Shape:
        (B, in_channels, D, H, W) to logits (B, out_channels, D, H, W); D, H and W divisible by
        2 ** (stages - 1), which is 8 for the default channels.
    """

    def __init__(
        self, in_channels: int = 4, out_channels: int = 3, channels: Sequence[int] = (32, 64, 128, 256)
    ) -> None:
        super().__init__()
        self.stem = ResidualBlock(in_channels, channels[0])
        self.down = nn.ModuleList(ResidualBlock(a, b, "down") for a, b in pairwise(channels))
        self.up = nn.ModuleList(ResidualBlock(b, a, "up") for b, a in pairwise(reversed(channels)))
        self.head = VoxelMLP(channels[0], channels[0], out_channels)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the bottleneck's features and the skip connections from full resolution downwards.

        Args:
            x: Images (B, in_channels, D, H, W).
        """
        skips = []
        x = self.stem(x)
        for block in self.down:
            skips.append(x)
            x = block(x)
        return x, skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Return logits from the bottleneck's features.

        Args:
            x: Features of the bottleneck.
            skips: Skip connections from `encode`; emptied, so that memory is freed stage by stage.
        """
        for block in self.up:
            x = block(x).add_(skips.pop())
        return self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits; see the class for shapes."""
        return self.decode(*self.encode(x))


class TokenUNet(UNetStar):
    """UNet** with TokenLearner, a token mixer and TokenFuser at its bottleneck.

    With an ``identity`` mixer it is the paper's Token-UNet without transformer (2,450,011 parameters; Table 1: 2.45 M).
    With a ``transformer`` mixer it has 5,609,051 parameters where Table 1 prints 5.51 M, 1.8 % more: the query, key
    and value projections here are the standard d x d. Equation 6 read literally, with d/h x d/h projections per head,
    gives 4.92 M (10.7 % less); no reading of the paper gives 5.51 M exactly.

    Args:
        in_channels: Number of sequences.
        out_channels: Number of regions.
        channels: Number of features of each stage; the last is F, that of the bottleneck.
        tokens: Number N of tokens and of attention maps.
        mixer: Token mixer: ``identity``, ``transformer`` or ``mlp_mixer``.
        token_width: Features d_t of a token inside the mixer; None is F. Another width adds a linear layer on either
            side of the mixer (section 4.1), so that pre-trained blocks of that width can be loaded.
        depth: Number of blocks of the mixer.
        heads: Number of attention heads of a transformer mixer.
        hidden: Width of the hidden layers of MLP_TL and MLP_TF.

    Shape:
        As for `UNetStar`.

    Example:
        >>> import torch
        >>> network = TokenUNet(channels=(4, 8, 8, 16), tokens=6)
        >>> network(torch.zeros(1, 4, 32, 32, 16)).shape
        torch.Size([1, 3, 32, 32, 16])
    """

    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 3,
        channels: Sequence[int] = (32, 64, 128, 256),
        tokens: int = 8,
        mixer: TokenMixerName = "identity",
        token_width: int | None = None,
        depth: int = 4,
        heads: int = 8,
        hidden: int = 64,
    ) -> None:
        super().__init__(in_channels, out_channels, channels)
        features = channels[-1]
        width = token_width or features
        self.learner = TokenLearner(features, tokens, hidden)
        self.expand = nn.Linear(features, width) if width != features else nn.Identity()
        self.mixer = token_mixer(mixer, tokens, width, depth, heads)
        self.shrink = nn.Linear(width, features) if width != features else nn.Identity()
        self.fuser = TokenFuser(features, tokens, hidden)

    def attend(self, x: Tensor) -> tuple[Tensor, TokenMaps]:
        """Apply TokenLearner, mixer and TokenFuser.

        Args:
            x: Features of the bottleneck (B, F, d, h, w).

        Returns:
            Features of the same shape, and the attention maps of TokenLearner and TokenFuser.
        """
        tokens, learner_maps = self.learner(x)
        x, fuser_maps = self.fuser(x, self.shrink(self.mixer(self.expand(tokens))))
        return x, TokenMaps(learner_maps, fuser_maps)

    def forward_with_maps(self, x: Tensor) -> tuple[Tensor, TokenMaps]:
        """Return logits and the attention maps, which are by-products: this costs as much as `forward`.

        Args:
            x: Images (B, in_channels, D, H, W).
        """
        x, skips = self.encode(x)
        x, maps = self.attend(x)
        return self.decode(x, skips), maps

    def forward(self, x: Tensor) -> Tensor:
        """Return logits; see `UNetStar` for shapes."""
        return self.forward_with_maps(x)[0]
