"""Input space of a model: channels, voxel size and orientation."""

from dataclasses import dataclass

from tokenunet.core.grid import Triple
from tokenunet.core.sequences import SequenceName


@dataclass(frozen=True)
class ModelSpace:
    """What a model's input looks like.

    Attributes:
        channels: sequences in the order of the tensor's channels.
        spacing: voxel size along x, y and z, in mm.
        orientation: three letters toward which x, y and z grow.
    """

    channels: tuple[SequenceName, ...]
    spacing: Triple
    orientation: str
