"""Input space of a model: channels, voxel size and orientation."""

from dataclasses import dataclass

from tokenunet.core.grid import Triple
from tokenunet.core.sequences import SequenceName


@dataclass(frozen=True)
class ModelSpace:
    """Channels, voxel size and orientation of a model's input.

    Attributes:
        channels: Sequences in the order of the tensor's channels.
        spacing: Voxel size along x, y and z in mm.
        orientation: Anatomical directions toward which x, y and z grow, such as ``LPS``.
    """

    channels: tuple[SequenceName, ...]
    spacing: Triple
    orientation: str
