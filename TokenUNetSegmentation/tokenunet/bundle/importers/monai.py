"""Import of MONAI bundles: networks of a closed list, with the plain arguments of their JSON.

An expression (``$...``) is Python that MONAI would execute. It is never executed here: where the network, its
normalization or its windows need one, the bundle is refused by the expression's name.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from tokenunet.bundle.imported import Imported, MonaiInference
from tokenunet.bundle.importers.archive import ModelFiles, read_json
from tokenunet.bundle.importers.checkpoint import read_checkpoint
from tokenunet.bundle.importers.description import ForeignModel, channel_of, described_origin
from tokenunet.bundle.importers.monai_configuration import MonaiConfiguration, class_of
from tokenunet.bundle.importers.monai_preprocessing import read_preprocessing
from tokenunet.bundle.manifest import Channel, ModelManifest
from tokenunet.core.errors import DatasetError, ModelError
from tokenunet.core.label_names import labels_of, meaning_of
from tokenunet.core.regions import ET_LABEL, NCR, REGIONS
from tokenunet.networks.imported import MONAI_NETWORKS

_METADATA = "configs/metadata.json"
_CONFIGURATIONS = ("configs/inference.json", "configs/evaluate.json", "configs/train.json")
_WEIGHTS = "models/model.pt"
_NETWORKS = ("network_def", "network", "net")
_USUAL_WINDOWS = {"padding_mode": "constant", "cval": 0, "sigma_scale": 0.125}
"""Arguments of the sliding window that must have their usual values."""
_MOST_SWIN_FEATURES = 192


def is_monai(files: ModelFiles) -> bool:
    """Return whether the files are those of a MONAI bundle."""
    return _METADATA in files.names


def import_monai(files: ModelFiles) -> ForeignModel:
    """Read a MONAI bundle.

    Args:
        files: Files of the bundle.

    Raises:
        ModelError: If it is no model of brain tumors, needs an expression, or is of a kind that cannot be reproduced.
        UnusableWeightsError: If its weights hold anything but tensors and plain values.
    """
    name = next((name for name in _CONFIGURATIONS if name in files.names), None)
    if name is None:
        raise ModelError(f"{files.source} has none of {', '.join(_CONFIGURATIONS)}.", "Copy the whole bundle.")
    if _WEIGHTS not in files.names:
        raise ModelError(f"{files.source} has no {_WEIGHTS}.", "Copy the whole bundle; TorchScript is not imported.")
    configuration = MonaiConfiguration(read_json(files, name), f"{name} of {files.source}")
    metadata = read_json(files, _METADATA)
    try:
        manifest = _manifest(files, configuration, metadata)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(f"{files.source} is not usable: {error!r}.", "Copy the whole bundle again.") from error
    return ForeignModel(manifest, (read_checkpoint(files, _WEIGHTS).weights,))


def _manifest(files: ModelFiles, configuration: MonaiConfiguration, metadata: dict[str, Any]) -> ModelManifest:
    class_name, arguments = _network(configuration)
    formats = metadata["network_data_format"]
    channels = _channels(formats["inputs"]["image"], files.source)
    inputs, outputs = arguments.pop("in_channels", len(channels)), arguments.pop("out_channels")
    if inputs != len(channels):
        raise ModelError(
            f"The network of {files.source} takes {inputs} channels, but {_METADATA} names {len(channels)}.",
            "Correct its channel_def.",
        )
    normalization, spacing, orientation = read_preprocessing(configuration)
    monai, window = _windows(configuration, spacing)
    region_outputs, activation = _outputs(formats["outputs"]["pred"], outputs, configuration)
    imported = Imported(
        outputs=outputs,
        region_outputs=region_outputs,
        size_multiple=_size_multiple(class_name, arguments),
        normalizations=(normalization,) * len(channels),
        monai=monai,
    )
    return ModelManifest(
        name=str(metadata.get("name") or "MONAI bundle"),
        architecture=MONAI_NETWORKS[class_name],
        arguments=arguments,
        channels=channels,
        activation=activation,
        spacing=spacing or (1.0, 1.0, 1.0),
        orientation=orientation,
        patch_size=window,
        training={
            **described_origin(files, "MONAI"),
            "version": metadata.get("version", ""),
            "description": metadata.get("description", ""),
            "authors": metadata.get("authors", ""),
            "data": metadata.get("data_source", ""),
        },
        license=str(metadata.get("copyright") or ""),
        intended_use=str(metadata.get("intended_use") or ""),
        imported=imported,
    )


def _network(configuration: MonaiConfiguration) -> tuple[str, dict[str, Any]]:
    """Return the class and the arguments of the network."""
    described = next((d for n in _NETWORKS if isinstance(d := configuration.values.get(n), dict)), None)
    if described is None:
        for name in _NETWORKS:
            configuration.plain(configuration.values.get(name), name)
        raise ModelError(f"{configuration.where} has no network_def.", "Describe the network there with plain values.")
    arguments = configuration.plain(described, "network_def")
    class_name = str(arguments.pop("_target_", "")).split(".")[-1]
    if class_name not in MONAI_NETWORKS:
        raise ModelError(
            f"The network class {class_name!r} in {configuration.where} is not supported.",
            f"Bundles with {', '.join(MONAI_NETWORKS)} can be imported.",
        )
    if arguments.pop("spatial_dims", 3) != 3:
        raise ModelError(f"The network in {configuration.where} is not 3-D.", "Import a 3-D model.")
    if class_name == "SwinUNETR" and arguments.get("feature_size", 24) > _MOST_SWIN_FEATURES:
        raise ModelError(f"The network in {configuration.where} has more than {_MOST_SWIN_FEATURES} features.")
    arguments = {name: value for name, value in arguments.items() if not name.startswith("_")}
    return class_name, arguments | ({"spatial_dims": 3} if class_name == "UNet" else {})


def _size_multiple(class_name: str, arguments: Mapping[str, Any]) -> int:
    if class_name == "SwinUNETR":
        return 32
    if class_name == "SegResNet":
        return 2 ** (len(arguments.get("blocks_down", (1, 2, 2, 4))) - 1)
    return prod(arguments["strides"])


def _channels(described: Mapping[str, Any], source: str) -> tuple[Channel, ...]:
    names = described["channel_def"]
    return tuple(channel_of(names[key], source) for key in sorted(names, key=int))


def _outputs(
    described: Mapping[str, Any], outputs: int, configuration: MonaiConfiguration
) -> tuple[dict[str, tuple[int, ...]], Any]:
    """Return the outputs of each region, and the activation."""
    names = {int(key): str(name) for key, name in described["channel_def"].items()}
    try:
        meanings = {number: meaning_of(name) for number, name in names.items()}
        found = {meaning: (number,) for number, meaning in meanings.items()}
        if set(REGIONS) <= found.keys():
            return {region: found[region] for region in REGIONS}, _activation(configuration, "sigmoid")
        parts = labels_of({name: number for number, name in names.items()})
    except DatasetError as error:
        raise ModelError(
            f"The outputs in {_METADATA} cannot be used: {error}", "They must be WT, TC and ET, or NCR, ED and ET."
        ) from error
    if sorted(names) != list(range(outputs)):
        raise ModelError(f"{_METADATA} names {len(names)} outputs, but the network has {outputs}.")
    regions = {
        "WT": tuple(value for value, part in parts.items() if part),
        "TC": tuple(value for value, part in parts.items() if part in (NCR, ET_LABEL)),
        "ET": tuple(value for value, part in parts.items() if part == ET_LABEL),
    }
    return regions, _activation(configuration, "softmax")


def _activation(configuration: MonaiConfiguration, otherwise: str) -> str:
    for transform in configuration.transforms("postprocessing"):
        if class_of(transform) == "Activations" and not configuration.is_disabled(transform):
            softmax = configuration.plain(transform.get("softmax", False), "Activationsd::softmax")
            sigmoid = configuration.plain(transform.get("sigmoid", False), "Activationsd::sigmoid")
            if bool(softmax) != bool(sigmoid):
                return "softmax" if softmax else "sigmoid"
    return otherwise


def _windows(
    configuration: MonaiConfiguration, spacing: tuple[float, float, float] | None
) -> tuple[MonaiInference, tuple[int, int, int]]:
    inferer = configuration.plain(configuration.values.get("inferer", {}), "inferer")
    if inferer.get("_target_", "").split(".")[-1] != "SlidingWindowInferer":
        raise ModelError(
            f"The inferer of {configuration.where} is not supported.", "Use a SlidingWindowInferer with plain numbers."
        )
    for name, usual in _USUAL_WINDOWS.items():
        if inferer.get(name, usual) != usual:
            raise ModelError(
                f"{name} {inferer[name]!r} of the inferer in {configuration.where} is not supported.",
                f"It must be {usual!r}.",
            )
    size = inferer["roi_size"]
    x, y, z = (int(side) for side in (size if isinstance(size, list) else [size] * 3))
    return MonaiInference(float(inferer.get("overlap", 0.25)), inferer.get("mode", "constant"), spacing), (x, y, z)
