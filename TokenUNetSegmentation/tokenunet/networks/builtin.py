"""Built-in architectures: the Token-UNet family and the paper's baselines.

The builders import PyTorch and MONAI when they are called, so that names and capabilities can be read without them.
Colors are Okabe and Ito's, distinguishable with any color vision.
"""

from typing import TYPE_CHECKING, Any

from tokenunet.networks.registry import register_architecture

if TYPE_CHECKING:
    from torch import nn


@register_architecture(
    "unet", "U-Net", "#56b4e9", size_multiple=32, description="MONAI's U-Net, 12.9 million parameters."
)
def _unet(**arguments: Any) -> "nn.Module":
    from monai.networks.nets import UNet

    return UNet(**{"spatial_dims": 3, "channels": (32, 64, 128, 256, 320, 320), "strides": (2,) * 5} | arguments)


@register_architecture(
    "swin_unetr",
    "SwinUNETR",
    "#cc79a7",
    size_multiple=32,
    training_defaults={"optimizer": "adamw", "learning_rate": 8e-4},  # section 3.3
    description="MONAI's SwinUNETR, 15.7 million parameters.",
)
def _swin_unetr(**arguments: Any) -> "nn.Module":
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(**{"feature_size": 24} | arguments)


@register_architecture(
    "unet_star",
    "UNet**",
    "#e69f00",
    size_multiple=8,
    channels_last=True,
    cpu_optimized=True,
    description="The residual U-Net without tokens, 2.4 million parameters.",
)
def _unet_star(**arguments: Any) -> "nn.Module":
    from tokenunet.networks.token_unet import UNetStar

    return UNetStar(**arguments)


@register_architecture(
    "token_unet",
    "Token-UNet",
    "#009e73",
    size_multiple=8,
    channels_last=True,
    has_attention_maps=True,
    cpu_optimized=True,
    description="UNet** with TokenLearner and TokenFuser, 2.5 million parameters.",
)
def _token_unet(**arguments: Any) -> "nn.Module":
    from tokenunet.networks.token_unet import TokenUNet

    return TokenUNet(**arguments)


@register_architecture(
    "token_unet_transformer",
    "Token-UNet-T",
    "#0072b2",
    size_multiple=8,
    channels_last=True,
    has_attention_maps=True,
    cpu_optimized=True,
    description="Token-UNet with a transformer between TokenLearner and TokenFuser, 5.6 million parameters.",
)
def _token_unet_transformer(**arguments: Any) -> "nn.Module":
    from tokenunet.networks.token_unet import TokenUNet

    return TokenUNet(**{"mixer": "transformer"} | arguments)


@register_architecture(
    "token_unet_mlp_mixer",
    "Token-UNet-M",
    "#d55e00",
    size_multiple=8,
    channels_last=True,
    has_attention_maps=True,
    cpu_optimized=True,
    description="Token-UNet with an MLP-Mixer between TokenLearner and TokenFuser, 4.6 million parameters.",
)
def _token_unet_mlp_mixer(**arguments: Any) -> "nn.Module":
    from tokenunet.networks.token_unet import TokenUNet

    return TokenUNet(**{"mixer": "mlp_mixer"} | arguments)
