"""Input space of a model: channels, voxel size and orientation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tokenunet.core.grid import Triple
from tokenunet.core.sequences import SequenceName


@dataclass(frozen=True)
class ModelSpace:
    """Channels, voxel size and orientation of a model's input.

    Attributes:
        channels: Sequences in the order of the tensor's channels.
        spacing: Voxel size along x, y and z in mm.
        orientation: Anatomical directions toward which x, y and z grow, such as ``LPS``.
        intensities: Whether scans are normalized inside the brain, or left as they are for a model that normalizes
            them in its own way: the brain alone or the whole head.
        resamples: Whether scans are brought to that voxel size; if not, they keep the reference's.
        coil_profile_limit: Share of the variance, from 0 to 1, that a smooth profile must explain in every normalized
            scan, so that the scans are evened out; None for never.
        least_spread: Spread, by channel, that the z-scores of most of the brain have at least: lower ones are scaled.
    """

    channels: tuple[SequenceName, ...]
    spacing: Triple
    orientation: str
    intensities: Literal["normalized", "brain", "head"] = "normalized"
    resamples: bool = True
    coil_profile_limit: float | None = None
    least_spread: Mapping[SequenceName, float] = field(default_factory=dict)
