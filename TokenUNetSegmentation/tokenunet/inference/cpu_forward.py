"""CPU-optimized forward pass of UNet** and Token-UNet: the network's own result with a third less memory.

The operations between two convolutions are limited by memory bandwidth. They are therefore done in place, for a slab of
the volume at a time that fits in the CPU's cache, and no feature map exists twice.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from tokenunet.networks import architecture_of
from tokenunet.networks.blocks import ResidualBlock, VoxelMLP
from tokenunet.networks.token_unet import UNetStar
from tokenunet.networks.tokens import TokenMaps

_SLAB_BYTES = 2**24


def cpu_optimized_forward(network: UNetStar, x: Tensor) -> tuple[Tensor, TokenMaps | None]:
    """Run a network whose architecture is declared `cpu_optimized`.

    Args:
        network: Network on the CPU, without gradients.
        x: Images (1, C, D, H, W) of the weights' type, channels last.

    Returns:
        Logits in single precision, and the attention maps if the architecture has any.
    """
    skips = []
    maps: TokenMaps | None = None
    x = _block(network.stem, x)
    for block in network.down:
        skips.append(x)
        x = _block(block, x)
    known = architecture_of(network)
    if known is not None and known.has_attention_maps:
        x, maps = network.attend(x)  # type: ignore[operator]
    for block in network.up:
        x = _block(block, x, skips.pop())
    return _head(network.head, x), maps


def _block(block: nn.Module, x: Tensor, skip: Tensor | None = None) -> Tensor:
    """Return the block's output plus the skip connection."""
    assert isinstance(block, ResidualBlock)
    y: Tensor = block.conv(x)
    unused = torch.zeros(2, y.shape[1])  # their type makes the statistics single precision; half costs accuracy
    mean, variance = torch.ops.aten.batch_norm_update_stats(y, *unused, 0.0)
    scale = block.norm.weight * torch.rsqrt(variance + block.norm.eps)
    shift = block.norm.bias - mean * scale
    scale, shift = (v.to(y.dtype).view(1, -1, 1, 1, 1) for v in (scale, shift))
    shortcut = _upsampled(block, x) if block.resolution == "up" else _shortcut(block, x)
    for slab in _slabs(y):
        part = y[:, :, slab]
        torch.addcmul(shift, part, scale, out=part)
        torch.ops.aten.gelu_(part)
        part += shortcut(slab)
        if skip is not None:
            part += skip[:, :, slab]
    return y


def _shortcut(block: ResidualBlock, x: Tensor) -> Callable[[slice], Tensor]:
    """Return a function for slabs of the shortcut of a block that keeps or halves the resolution."""
    factor = 2 if block.resolution == "down" else 1
    return lambda slab: block.shortcut(x[:, :, factor * slab.start : factor * slab.stop])


def _upsampled(block: ResidualBlock, x: Tensor) -> Callable[[slice], Tensor]:
    """Return a function for slabs of the shortcut of a block that doubles the resolution, one axis after the other."""
    planes = _doubled(_doubled(block.project(x), axis=4), axis=3)

    def slab_of(slab: slice) -> Tensor:
        start, stop = slab.start // 2, slab.stop // 2
        before = max(start - 1, 0)  # one more plane on either side, for the interpolation
        thicker = _doubled(planes[:, :, before : stop + 1], axis=2)
        return thicker[:, :, 2 * (start - before) : 2 * (stop - before)]

    return slab_of


def _doubled(x: Tensor, axis: int) -> Tensor:
    """Interpolate linearly by 2 along an axis: each voxel becomes two, a quarter of the way to either neighbor."""
    size = [2 * side if i == axis else side for i, side in enumerate(x.shape)]
    out = torch.empty(*size, dtype=x.dtype, memory_format=torch.channels_last_3d)
    first, second = out.unflatten(axis, (-1, 2)).unbind(axis + 1)
    inner = x.shape[axis] - 1
    lower, upper = x.narrow(axis, 0, inner), x.narrow(axis, 1, inner)
    torch.lerp(upper, lower, 0.25, out=first.narrow(axis, 1, inner))
    torch.lerp(lower, upper, 0.25, out=second.narrow(axis, 0, inner))
    first.select(axis, 0).copy_(x.select(axis, 0))
    second.select(axis, inner).copy_(x.select(axis, inner))
    return out


def _head(head: VoxelMLP, x: Tensor) -> Tensor:
    first, _, second = head
    assert isinstance(second, nn.Conv3d)
    out = x.new_empty((1, second.out_channels, *x.shape[2:]), dtype=torch.float32)
    for slab in _slabs(x):
        out[:, :, slab] = second(torch.ops.aten.gelu_(first(x[:, :, slab])))
    return out


def _slabs(x: Tensor) -> Iterator[slice]:
    """Divide the first spatial axis into slabs, each an even number of voxels thick."""
    depth = x.shape[2]
    thickness = max(2, _SLAB_BYTES // (x.nbytes // depth) // 2 * 2)
    return (slice(start, min(start + thickness, depth)) for start in range(0, depth, thickness))
