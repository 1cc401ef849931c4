"""The trained network of a fold as a model."""

import safetensors.torch

from tokenunet.bundle import ModelBundle
from tokenunet.manifest import ModelManifest
from tokenunet.training.configuration import TrainingConfiguration
from tokenunet.training.fold_folder import FoldFolder


def fold_bundle(job: FoldFolder, configuration: TrainingConfiguration) -> ModelBundle:
    """The trained network of a fold as a model, in memory.

    Of synthetic patients there are always new ones, so that the weights may be chosen by those of the validation.
    """
    weights = job.best_weights if configuration.synthetic_patients else job.last_weights
    spacing = configuration.spacing
    manifest = ModelManifest(
        name=f"{job.architecture}, fold {job.fold}",
        architecture=configuration.architecture,
        arguments=configuration.arguments,
        spacing=(spacing, spacing, spacing),
        patch_size=configuration.patch_size,
    )
    return ModelBundle(manifest, safetensors.torch.load_file(weights), str(weights))
