"""Networks of nnU-Net and MONAI that models are imported for; they are not offered for training."""

from typing import TYPE_CHECKING, Any

from tokenunet.core.errors import ArchitectureError
from tokenunet.networks.registry import register_architecture

if TYPE_CHECKING:
    from torch import nn

NNUNET_NETWORKS = {
    "PlainConvUNet": "nnunet_plain_conv_unet",
    "ResidualEncoderUNet": "nnunet_residual_encoder_unet",
}
"""Architecture by the name of nnU-Net's class."""
MONAI_NETWORKS = {"SegResNet": "monai_segresnet", "SwinUNETR": "monai_swin_unetr", "UNet": "monai_unet"}
"""Architecture by the name of MONAI's class."""
NEED_MEMORY = {"monai_swin_unetr"}
"""Architectures that cannot be built on PyTorch's meta device."""

_GRAY = "#999999"


def _layer_classes() -> dict[str, type]:
    """Return the classes that nnU-Net's plans may name; no other name is looked up."""
    from torch import nn

    return {
        "torch.nn.modules.conv.Conv3d": nn.Conv3d,
        "torch.nn.modules.instancenorm.InstanceNorm3d": nn.InstanceNorm3d,
        "torch.nn.modules.batchnorm.BatchNorm3d": nn.BatchNorm3d,
        "torch.nn.modules.dropout.Dropout3d": nn.Dropout3d,
        "torch.nn.LeakyReLU": nn.LeakyReLU,
        "torch.nn.modules.activation.LeakyReLU": nn.LeakyReLU,
        "torch.nn.ReLU": nn.ReLU,
        "torch.nn.modules.activation.ReLU": nn.ReLU,
    }


def _build_nnunet(class_name: str, in_channels: int, out_channels: int, arguments: dict[str, Any]) -> "nn.Module":
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError as error:
        raise ArchitectureError(
            "Models of nnU-Net need the package dynamic-network-architectures.", "Run: pip install tokenunet[nnunet]"
        ) from error
    known = _layer_classes()
    for name in ("conv_op", "norm_op", "dropout_op", "nonlin"):
        if arguments.get(name) is not None:
            if arguments[name] not in known:
                raise ArchitectureError(f"The layer {arguments[name]!r} of an nnU-Net is not known.")
            arguments[name] = known[arguments[name]]

    class SharedWeights(getattr(unet, class_name)):  # type: ignore[misc]
        """Has every tensor under several names, of which a checkpoint needs one."""

        def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            """Load weights after copying each to all names of its tensor."""
            complete = dict(state_dict)
            for names in names_of_tensors(self).values():
                given = next((name for name in names if name in complete), None)
                if given is not None:
                    complete |= {name: complete.get(name, complete[given]) for name in names}
            return super().load_state_dict(complete, *args, **kwargs)

    return SharedWeights(input_channels=in_channels, num_classes=out_channels, deep_supervision=False, **arguments)


def names_of_tensors(network: "nn.Module") -> dict[int, list[str]]:
    """Return all names of each tensor of a network, by the tensor's identity."""
    names: dict[int, list[str]] = {}
    for name, tensor in network.state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), []).append(name)
    return names


@register_architecture(
    "nnunet_plain_conv_unet", "nnU-Net", _GRAY, size_multiple=1, trainable=False, description="nnU-Net's U-Net."
)
def _plain_conv_unet(in_channels: int, out_channels: int, **arguments: Any) -> "nn.Module":
    return _build_nnunet("PlainConvUNet", in_channels, out_channels, arguments)


@register_architecture(
    "nnunet_residual_encoder_unet",
    "nnU-Net ResEnc",
    _GRAY,
    size_multiple=1,
    trainable=False,
    description="nnU-Net's U-Net with a residual encoder.",
)
def _residual_encoder_unet(in_channels: int, out_channels: int, **arguments: Any) -> "nn.Module":
    return _build_nnunet("ResidualEncoderUNet", in_channels, out_channels, arguments)


@register_architecture(
    "monai_segresnet", "SegResNet", _GRAY, size_multiple=1, trainable=False, description="MONAI's SegResNet."
)
def _segresnet(**arguments: Any) -> "nn.Module":
    from monai.networks.nets import SegResNet

    return SegResNet(**arguments)


@register_architecture(
    "monai_swin_unetr", "SwinUNETR", _GRAY, size_multiple=1, trainable=False, description="MONAI's SwinUNETR."
)
def _swin_unetr(**arguments: Any) -> "nn.Module":
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(**arguments)


@register_architecture("monai_unet", "U-Net", _GRAY, size_multiple=1, trainable=False, description="MONAI's U-Net.")
def _unet(**arguments: Any) -> "nn.Module":
    from monai.networks.nets import UNet

    return UNet(**arguments)
