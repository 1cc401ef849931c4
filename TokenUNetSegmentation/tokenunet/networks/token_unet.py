"""UNet** and Token-UNet (figures 1 and 3; Table 1)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from tokenunet.networks.blocks import ResidualBlock, VoxelMLP
from tokenunet.networks.mixers import TokenMixerName, token_mixer
from tokenunet.networks.tokens import TokenFuser, TokenLearner, TokenMaps


class UNetStar(nn.Module):
    """UNet**: residual blocks, one a stage, with additive skip connections (section 3.1.1).

    Args:
        in_channels: number of sequences.
        out_channels: number of regions.
        channels: features of each stage, from full resolution to the bottleneck.

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
        """The bottleneck's features and the skip connections, from full resolution downwards."""
        skips = []
        x = self.stem(x)
        for block in self.down:
            skips.append(x)
            x = block(x)
        return x, skips

    def decode(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Logits from the bottleneck's features; empties ``skips``, so that memory is freed stage by stage."""
        for block in self.up:
            x = block(x).add_(skips.pop())
        return self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(*self.encode(x))


class TokenUNet(UNetStar):
    """UNet** with TokenLearner, a token mixer and TokenFuser at its bottleneck.

    With an ``identity`` mixer it is the paper's Token-UNet without transformer (2,450,011 parameters; Table 1: 2.45 M).
    With a ``transformer`` mixer it has 5,609,051 parameters where Table 1 prints 5.51 M, 1.8 % more: the query, key
    and value projections here are the standard d x d. Equation 6 read literally, with d/h x d/h projections a head,
    gives 4.92 M (10.7 % less); no reading of the paper gives 5.51 M exactly.

    Args:
        in_channels: number of sequences.
        out_channels: number of regions.
        channels: features of each stage; the last is F, the features of the bottleneck.
        tokens: N, the number of tokens and of maps.
        mixer: what happens to the tokens: ``identity``, ``transformer`` or ``mlp_mixer``.
        token_width: d_t, the features of a token inside the mixer; F when left out. Another width puts a linear
            layer on either side of the mixer (section 4.1), so that pre-trained blocks of that width fit.
        depth: blocks of the mixer.
        heads: attention heads of a transformer mixer.
        hidden: width of the hidden layer of MLP_TL and MLP_TF.

    Shape:
        As for `UNetStar`.
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
        """The bottleneck's features after TokenLearner, mixer and TokenFuser, and both sets of maps."""
        tokens, learner_maps = self.learner(x)
        x, fuser_maps = self.fuser(x, self.shrink(self.mixer(self.expand(tokens))))
        return x, TokenMaps(learner_maps, fuser_maps)

    def forward_with_maps(self, x: Tensor) -> tuple[Tensor, TokenMaps]:
        """Logits and both sets of maps; the maps are by-products, so this costs what `forward` costs."""
        x, skips = self.encode(x)
        x, maps = self.attend(x)
        return self.decode(x, skips), maps

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_with_maps(x)[0]
