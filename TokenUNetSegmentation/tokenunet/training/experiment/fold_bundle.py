"""Trained network of a fold as a model bundle in memory."""

import safetensors.torch

from tokenunet.bundle.bundle import ModelBundle
from tokenunet.bundle.manifest import ModelManifest, manifest_channels
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.experiment.fold_folder import FoldFolder


def fold_bundle(job: FoldFolder, configuration: TrainingConfiguration) -> ModelBundle:
    """Return a fold's network with its final weights, which, unlike the best ones, no validation case has selected.

    Args:
        job: Trained fold.
        configuration: Settings of its training.
    """
    spacing = configuration.spacing
    manifest = ModelManifest(
        name=f"{job.architecture}, fold {job.fold}",
        architecture=configuration.architecture,
        arguments=configuration.arguments,
        channels=manifest_channels(configuration.channels),
        spacing=(spacing, spacing, spacing),
        patch_size=configuration.patch_size,
    )
    return ModelBundle(manifest, safetensors.torch.load_file(job.last_weights), str(job.last_weights))
