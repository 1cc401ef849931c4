"""Import of models that nnU-Net v2 trained: a trained-model folder, or the zip that nnU-Net exports."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import PurePosixPath
from typing import Any

from tokenunet.bundle.imported import Imported, NnunetInference, Normalization, Resampling
from tokenunet.bundle.importers.archive import ModelFiles, read_json
from tokenunet.bundle.importers.checkpoint import Checkpoint, read_checkpoint
from tokenunet.bundle.importers.description import ForeignModel, channel_of, described_origin
from tokenunet.bundle.manifest import ModelManifest
from tokenunet.core.errors import DatasetError, ModelError
from tokenunet.core.label_names import labels_of
from tokenunet.core.regions import ET_LABEL, NCR
from tokenunet.networks.imported import NNUNET_NETWORKS

_PLANS = "plans.json"
_DATASET = "dataset.json"
_CHECKPOINT = re.compile(r"((?:.*/)?)fold_(\d+|all)/checkpoint_final\.pth")
_NORMALIZATIONS: Mapping[str, Normalization] = {
    "ZScoreNormalization": "zscore",
    "RescaleTo01Normalization": "range_0_1",
    "NoNormalization": "none",
}
_READERS = {"SimpleITKIO": "LPS", "NibabelIOWithReorient": "RAS"}
"""Orientation in which a reader of nnU-Net gives images to the network; SimpleITK's are as their files are."""
_MOST_STAGES = 12
_MOST_FEATURES = 4096


def is_nnunet(files: ModelFiles) -> bool:
    """Return whether the files are those of a model of nnU-Net."""
    return any(PurePosixPath(name).name == _PLANS for name in files.names)


def import_nnunet(
    files: ModelFiles, mirroring: bool = False, on_fraction: Callable[[float], None] = lambda fraction: None
) -> ForeignModel:
    """Read a model of nnU-Net.

    Args:
        files: Files of the model.
        mirroring: Whether windows are predicted mirrored too.
        on_fraction: Callback that receives the share of the folds that were read, from 0 to 1.

    Raises:
        ModelError: If it is no model of brain tumors, or of a kind that cannot be reproduced.
        UnusableWeightsError: If a checkpoint holds anything but tensors and plain values.
    """
    folds = [(match[1], name) for name in files.names if (match := _CHECKPOINT.fullmatch(name))]
    if not folds:
        raise ModelError(
            f"{files.source} has no fold_*/checkpoint_final.pth.", "Copy the folder of a training that has finished."
        )
    folders = {folder for folder, _ in folds}
    if len(folders) > 1:
        raise ModelError(
            f"{files.source} holds several models: {', '.join(sorted(folders))}.", "Import the folder of one of them."
        )
    folder = folders.pop()
    plans, dataset = read_json(files, folder + _PLANS), read_json(files, folder + _DATASET)
    checkpoints = []
    for number, (_, name) in enumerate(folds, start=1):
        checkpoints.append(read_checkpoint(files, name))
        on_fraction(number / len(folds))
    try:
        manifest = _manifest(files, plans, dataset, checkpoints[0], mirroring)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(
            f"The plans of {files.source} are not usable: {error!r}.", "Copy the whole model folder again."
        ) from error
    return ForeignModel(manifest, tuple(checkpoint.weights for checkpoint in checkpoints))


def _manifest(
    files: ModelFiles, plans: dict[str, Any], dataset: dict[str, Any], first: Checkpoint, mirroring: bool
) -> ModelManifest:
    name = first.facts.get("configuration", "3d_fullres")
    configuration = _configuration(plans, name)
    if len(configuration["patch_size"]) != 3:
        raise ModelError(f"{files.source} is a 2-D model of nnU-Net.", "Train 3d_fullres, and import that.")
    if configuration.get("previous_stage"):
        raise ModelError(
            f"{files.source} is the second stage of a cascade of nnU-Net, which is not supported.", "Train 3d_fullres."
        )
    architecture, arguments = _architecture(configuration)
    patch = [int(side) for side in configuration["patch_size"]]
    axes = [int(axis) for axis in plans["transpose_forward"]]
    spacing = [float(size) for size in configuration["spacing"]]
    z, y, x = (spacing[axes.index(axis)] for axis in range(3))
    channels = dataset.get("channel_names") or dataset["modality"]
    outputs, region_outputs, activation = _outputs(dataset)
    mirror_axes = tuple(int(axis) for axis in first.facts.get("mirror_axes") or ())
    nnunet = NnunetInference(
        spacing=(spacing[0], spacing[1], spacing[2]),
        axes=(axes[0], axes[1], axes[2]),
        data_resampling=_resampling(configuration, "data"),
        logit_resampling=_resampling(configuration, "probabilities"),
        mirror_axes=mirror_axes,
        mirroring=mirroring and bool(mirror_axes),
    )
    imported = Imported(
        outputs=outputs,
        region_outputs=region_outputs,
        size_multiple=_size_multiple(arguments["strides"]),
        normalizations=_normalizations(configuration),
        nnunet=nnunet,
    )
    return ModelManifest(
        name=str(plans.get("dataset_name", "nnU-Net")),
        architecture=architecture,
        arguments=arguments,
        channels=tuple(channel_of(channels[key], files.source) for key in sorted(channels, key=int)),
        activation=activation,
        spacing=(x, y, z),
        orientation=_orientation(plans),
        patch_size=(patch[0], patch[1], patch[2]),
        training={
            **described_origin(files, "nnU-Net v2"),
            "configuration": name,
            "trainer": first.facts.get("trainer", ""),
            "epochs": first.facts.get("epochs", 0),
            "training_cases": dataset.get("numTraining", 0),
            "labels": dataset["labels"],
        },
        license=str(dataset.get("licence") or dataset.get("license") or ""),
        imported=imported,
    )


def _configuration(plans: dict[str, Any], name: str, depth: int = 0) -> dict[str, Any]:
    """Return a configuration with what it inherits from others."""
    configurations = plans["configurations"]
    if name not in configurations or depth > len(configurations):
        raise ModelError(f"{_PLANS} has no configuration {name!r}.", "Copy the whole model folder again.")
    own = dict(configurations[name])
    parent = own.pop("inherits_from", None)
    return _configuration(plans, parent, depth + 1) | own if parent else own


def _architecture(configuration: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the architecture's name and arguments."""
    described = configuration.get("architecture") or _of_old_plans(configuration)
    class_name = str(described["network_class_name"]).split(".")[-1]
    if class_name not in NNUNET_NETWORKS:
        raise ModelError(
            f"The network class {described['network_class_name']!r} is not supported.",
            f"Models with {' or '.join(NNUNET_NETWORKS)} can be imported.",
        )
    arguments = dict(described["arch_kwargs"])
    arguments.pop("deep_supervision", None)
    if arguments["n_stages"] > _MOST_STAGES:
        raise ModelError(f"The network has {arguments['n_stages']} stages; {_MOST_STAGES} are allowed.")
    if max(arguments["features_per_stage"]) > _MOST_FEATURES:
        raise ModelError(f"The network has more than {_MOST_FEATURES} features in a stage.")
    return NNUNET_NETWORKS[class_name], arguments


def _of_old_plans(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a network by plans from before version 2.3 of nnU-Net."""
    convolutions = configuration["n_conv_per_stage_encoder"]
    plain = configuration["UNet_class_name"] == "PlainConvUNet"
    widest, first = configuration["unet_max_num_features"], configuration["UNet_base_num_features"]
    return {
        "network_class_name": configuration["UNet_class_name"],
        "arch_kwargs": {
            "n_stages": len(convolutions),
            "features_per_stage": [min(first * 2**stage, widest) for stage in range(len(convolutions))],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": configuration["conv_kernel_sizes"],
            "strides": configuration["pool_op_kernel_sizes"],
            "n_conv_per_stage" if plain else "n_blocks_per_stage": convolutions,
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
    }


def _size_multiple(strides: Sequence[Any]) -> int:
    """Return the factor by which the network divides the axis that it divides most."""
    by_stage = [stride if isinstance(stride, list) else [stride] * 3 for stride in strides]
    return max(prod(stride[axis] for stride in by_stage) for axis in range(3))


def _normalizations(configuration: dict[str, Any]) -> tuple[Normalization, ...]:
    found: list[Normalization] = []
    schemes, inside = configuration["normalization_schemes"], configuration["use_mask_for_norm"]
    for scheme, inside_only in zip(schemes, inside, strict=True):
        if scheme not in _NORMALIZATIONS:
            raise ModelError(
                f"The normalization {scheme!r} is not supported.", f"Known are {', '.join(_NORMALIZATIONS)}."
            )
        plain = _NORMALIZATIONS[scheme]
        found.append("nonzero_zscore" if plain == "zscore" and inside_only else plain)
    return tuple(found)


def _resampling(configuration: dict[str, Any], what: str) -> Resampling:
    function = configuration.get(f"resampling_fn_{what}", "resample_data_or_seg_to_shape")
    if function != "resample_data_or_seg_to_shape":
        raise ModelError(f"The resampling {function!r} is not supported.", "Train with nnU-Net's default resampling.")
    how = configuration.get(f"resampling_fn_{what}_kwargs", {"order": 3 if what == "data" else 1})
    return Resampling(int(how.get("order", 3)), int(how.get("order_z", 0)), how.get("force_separate_z", False))


def _orientation(plans: dict[str, Any]) -> str:
    reader = plans.get("image_reader_writer", "SimpleITKIO")
    if reader not in _READERS:
        raise ModelError(
            f"Images of this model were read by {reader!r}, which gives them axes of its own.",
            f"Models whose images were read by {' or '.join(_READERS)} can be imported.",
        )
    return _READERS[reader]


def _outputs(dataset: dict[str, Any]) -> tuple[int, dict[str, tuple[int, ...]], Any]:
    """Return the number of outputs, those of each region, and the activation."""
    labels = {name: value for name, value in dataset["labels"].items() if name != "ignore"}
    try:
        parts = labels_of(labels)
    except DatasetError as error:
        raise ModelError(
            f"The labels of this model cannot be used: {error}",
            "A model must tell edema, necrotic or non-enhancing core, and enhancing tumor apart.",
        ) from error
    values = {
        "WT": {value for value, part in parts.items() if part},
        "TC": {value for value, part in parts.items() if part in (NCR, ET_LABEL)},
        "ET": {value for value, part in parts.items() if part == ET_LABEL},
    }
    if not any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        return 1 + max(parts), {region: tuple(sorted(found)) for region, found in values.items()}, "softmax"
    regions = [set(v if isinstance(v, list) else [v]) for v in labels.values() if v not in (0, [0])]
    if absent := [region for region, found in values.items() if found not in regions]:
        raise ModelError(f"The model has no region that is {' or '.join(absent)}.", "It must have WT, TC and ET.")
    return len(regions), {region: (regions.index(found),) for region, found in values.items()}, "sigmoid"
