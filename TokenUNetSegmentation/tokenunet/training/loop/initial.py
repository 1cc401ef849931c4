"""Loading of initial weights."""

from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from tokenunet.core.errors import TrainingError, UnusableWeightsError
from tokenunet.networks.mixers import TransformerBlock, load_transformer_blocks


def load_initial(network: nn.Module, path: Path) -> None:
    """Load the weights of a safetensors file into a network.

    Args:
        network: Network with random weights.
        path: Safetensors file, such as ``last.safetensors`` of an earlier training.

    Raises:
        TrainingError: If there is no such file, or it belongs to another network.
    """
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(
            f"{path} contains no weights of this network.", "Check the path, the architecture and its arguments."
        ) from error


def load_pretrained_transformer(network: nn.Module, path: Path) -> None:
    """Load the first blocks of a pre-trained Vision Transformer into the network's token mixer.

    Args:
        network: Token-UNet with a transformer mixer.
        path: Safetensors file with timm's parameter names.

    Raises:
        TrainingError: If the network has no transformer mixer, or the file does not fit it.
    """
    mixer = getattr(network, "mixer", None)
    if not isinstance(mixer, nn.Sequential) or not all(isinstance(block, TransformerBlock) for block in mixer):
        raise TrainingError(
            f"{path} cannot be loaded: the network has no transformer between its tokens.",
            "Choose token_unet_transformer, or leave pretrained_transformer empty.",
        )
    try:
        load_transformer_blocks(mixer, path)
    except UnusableWeightsError as error:
        raise TrainingError(str(error), error.hint) from error
