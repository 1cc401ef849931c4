"""Interface of training and validation cases."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.inference.crop import BrainCrop
from tokenunet.networks import architecture


class TrainingCase(Protocol):
    """Prepared case, read from the cache or generated on demand."""

    @property
    def name(self) -> str:
        """Unique name of the case."""

    def image(self) -> NDArray[Any]:
        """Return the image (C, D, H, W) in the order of `SEQUENCES`: z-scores inside the brain, 0 outside."""

    def labels(self) -> NDArray[np.uint8]:
        """Return the exclusive labels (D, H, W)."""

    def regions(self) -> NDArray[np.bool_]:
        """Return the regions (3, D, H, W) in the order of `REGIONS`."""


def brain_view(image: Tensor, name: str) -> BrainCrop:
    """Return the brain crop that inference uses, since instance normalization depends on its margins.

    Args:
        image: Image (C, D, H, W), 0 outside the brain.
        name: Name of the architecture.
    """
    brain = (image != 0).any(dim=0).cpu().numpy()
    return BrainCrop.of_brain(brain, architecture(name).size_multiple)
