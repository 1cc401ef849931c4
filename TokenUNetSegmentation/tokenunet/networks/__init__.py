"""The Token-UNet family and its baselines, by name.

`build_network` makes a network from its architecture's name and arguments; `ARCHITECTURES` lists the names.
`TokenUNet.forward_with_masks` also returns the attention masks of the pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from tokenunet.networks.blocks import ResidualBlock, VoxelMLP, trainable_parameters
from tokenunet.networks.mixers import load_transformer_blocks
from tokenunet.networks.token_unet import TokenUNet, UNetStar
from tokenunet.networks.tokens import TokenMasks

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ResidualBlock",
    "TokenMasks",
    "TokenUNet",
    "UNetStar",
    "VoxelMLP",
    "build_network",
    "fastest_layout",
    "load_transformer_blocks",
    "trainable_parameters",
]


@dataclass(frozen=True)
class Architecture:
    """How to build a network, and what input sizes it takes.

    Attributes:
        build: makes the network; takes ``in_channels``, ``out_channels`` and the architecture's own arguments.
        size_multiple: every side of the input must be a multiple of this many voxels.
        has_masks: whether it is a `TokenUNet`, which gives attention masks.
    """

    build: Callable[..., nn.Module]
    size_multiple: int
    has_masks: bool = False


def _unet(**arguments: Any) -> nn.Module:
    """The published U-Net baseline (section 4.1), 12.89 M parameters."""
    from monai.networks.nets import UNet  # MONAI takes seconds to import, which Token-UNets need not wait for

    return UNet(**{"spatial_dims": 3, "channels": (32, 64, 128, 256, 320, 320), "strides": (2,) * 5} | arguments)


def _swin_unetr(**arguments: Any) -> nn.Module:
    """The published SwinUNETR baseline (section 4.1), 15.71 M parameters."""
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(**{"feature_size": 24} | arguments)


ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture(_unet, size_multiple=32),
    "swin_unetr": Architecture(_swin_unetr, size_multiple=32),
    "unet_star": Architecture(UNetStar, size_multiple=8),
    "token_unet": Architecture(TokenUNet, size_multiple=8, has_masks=True),
    "token_unet_transformer": Architecture(partial(TokenUNet, mixer="transformer"), size_multiple=8, has_masks=True),
}


def build_network(name: str, in_channels: int = 4, out_channels: int = 3, **arguments: Any) -> nn.Module:
    """A network with random weights.

    Args:
        name: a name in `ARCHITECTURES`.
        in_channels: number of sequences.
        out_channels: number of regions.
        arguments: the architecture's own, for instance ``tokens`` or ``channels``.

    Raises:
        ValueError: for an unknown name or argument.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"Unknown architecture {name!r}; choose one of {', '.join(ARCHITECTURES)}.")
    try:
        return ARCHITECTURES[name].build(in_channels=in_channels, out_channels=out_channels, **arguments)
    except (TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ValueError(f"Architecture {name!r} does not take these arguments: {error}") from error


def fastest_layout(network: nn.Module) -> torch.memory_format:
    """How weights and features best lie in memory.

    With each voxel's channels side by side convolutions run fastest; the baselines have operations that would copy
    such features to the other layout and back.
    """
    return torch.channels_last_3d if isinstance(network, UNetStar) else torch.contiguous_format
