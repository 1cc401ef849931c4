"""What the engine learns from and measures on."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.inference.crop import FieldOfView
from tokenunet.networks import architecture


class TrainingCase(Protocol):
    """One prepared case: read from the cache, or made when it is asked for."""

    @property
    def name(self) -> str:
        """Unlike those of all other cases."""

    def image(self) -> NDArray[Any]:
        """(C, D, H, W), floats, in the order of `SEQUENCES`: z-scores inside the brain, 0 outside."""

    def labels(self) -> NDArray[np.uint8]:
        """(D, H, W), exclusive labels."""

    def regions(self) -> NDArray[np.bool_]:
        """(3, D, H, W) in the order of `REGIONS`."""


def brain_view(image: Tensor, name: str) -> FieldOfView:
    """What inference shows a network of a whole brain (C, D, H, W): instance normalization depends on the margins."""
    brain = (image != 0).any(dim=0).cpu().numpy()
    return FieldOfView.of_brain(brain, architecture(name).size_multiple)
