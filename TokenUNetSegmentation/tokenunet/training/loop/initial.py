"""The weights that a training begins from."""

from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from tokenunet.core.errors import TrainingError


def load_initial(network: nn.Module, path: Path) -> None:
    """Gives the network the weights of a safetensors file.

    Raises:
        TrainingError: where there is no such file, or it is another network's.
    """
    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(
            f"{path} holds no weights of this network.", "Check the path, the architecture and its arguments."
        ) from error
