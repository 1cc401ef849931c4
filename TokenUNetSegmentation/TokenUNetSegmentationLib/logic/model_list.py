"""List of the stored models, read without PyTorch, which may not be installed yet."""

import math
from dataclasses import dataclass

from tokenunet.bundle.store import stored_models
from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.networks.registry import architecture


@dataclass(frozen=True)
class ListedModel:
    """Model as the panel lists it.

    Attributes:
        title: Name for people.
        voxel_mm3: Volume of the voxels that its network receives, in mm³.
        members: Number of networks; more than 1 for an ensemble.
        channels: Input channels of the network.
        has_attention_maps: Whether it can compute attention maps.
        is_imported: Whether another framework trained it, whose own windows it is run with.
    """

    title: str
    voxel_mm3: float = 1.0
    members: int = 1
    channels: ChannelSet = FOUR_SEQUENCES
    has_attention_maps: bool = True
    is_imported: bool = False


def available_models() -> dict[str, ListedModel]:
    """Return the models by name, the shipped ones first."""
    models: dict[str, ListedModel] = {}
    for model in stored_models():
        manifest = model.manifest
        models.setdefault(
            model.name,
            ListedModel(
                manifest.name,
                math.prod(manifest.spacing),
                manifest.members,
                manifest.inputs,
                architecture(manifest.architecture).has_attention_maps,
                manifest.imported is not None,
            ),
        )
    return models
