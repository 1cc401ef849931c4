"""Residual block of UNet** and Token-UNet (section 3.1.1, figure 2), and the layers that they share."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Resolution = Literal["same", "down", "up"]


class ResidualBlock(nn.Module):
    """Residual block ``shortcut(x) + GELU(InstanceNorm(conv(x)))`` that keeps, halves or doubles the resolution.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels; if they differ from the input's, the shortcut has a 1x1x1 convolution.
        resolution: ``same`` (convolution, identity shortcut), ``down`` (strided convolution, average pooling)
            or ``up`` (transposed convolution, trilinear interpolation), by a factor of two.

    Shape:
        (B, in_channels, D, H, W) to (B, out_channels, D', H', W'); for ``down`` D, H and W must be even.
    """

    def __init__(self, in_channels: int, out_channels: int, resolution: Resolution = "same") -> None:
        super().__init__()
        self.resolution = resolution
        self.conv: nn.Module
        if resolution == "up":
            self.conv = nn.ConvTranspose3d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1)
        else:
            self.conv = nn.Conv3d(in_channels, out_channels, 3, stride=2 if resolution == "down" else 1, padding=1)
        self.norm = nn.InstanceNorm3d(out_channels, affine=True)
        self.project = nn.Identity() if in_channels == out_channels else nn.Conv3d(in_channels, out_channels, 1)

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the input with the resolution and channels of the output.

        Projection and resampling are both linear and commute, so channels change at the lower resolution.
        """
        if self.resolution == "down" and isinstance(self.project, nn.Conv3d):
            # Averaging 2 x 2 x 2 voxels and projecting them in one strided convolution reads x only once.
            return F.conv3d(x, self.project.weight.expand(-1, -1, 2, 2, 2) / 8, self.project.bias, stride=2)
        if self.resolution == "down":
            return F.avg_pool3d(x.float(), 2).to(x.dtype)  # PyTorch has no bfloat16 pooling on CPUs
        if self.resolution == "up":
            return F.interpolate(self.project(x), scale_factor=2, mode="trilinear", align_corners=False)
        return self.project(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output; see the class for shapes."""
        return F.gelu(instance_norm(self.conv(x), self.norm)).add_(self.shortcut(x))


def instance_norm(x: Tensor, norm: nn.InstanceNorm3d) -> Tensor:
    """Apply an instance normalization without copying channels-last tensors to another layout and back.

    For a single sample, batch normalization computes the same and accepts any memory layout.

    Args:
        x: Features (B, C, D, H, W).
        norm: Layer with weight, bias and epsilon.
    """
    if len(x) > 1:
        return norm(x)
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)


class VoxelMLP(nn.Sequential):
    """Two linear layers with a GELU in between, applied to each voxel separately.

    Args:
        in_channels: Number of input features.
        hidden_channels: Number of features of the hidden layer.
        out_channels: Number of output features.

    Shape:
        (B, in_channels, D, H, W) to (B, out_channels, D, H, W).
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv3d(in_channels, hidden_channels, 1),
            nn.GELU(),
            nn.Conv3d(hidden_channels, out_channels, 1),
        )


def trainable_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters, as counted in Table 1."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
