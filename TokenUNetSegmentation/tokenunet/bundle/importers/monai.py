"""Import of MONAI bundles: networks of a closed list, with the plain arguments of their JSON.

An expression (``$...``) is Python that MONAI would execute. It is never executed here: where the network, its
normalization or its windows need one, the bundle is refused by the expression's name.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from tokenunet.bundle.imported import Imported, MonaiInference, Normalization
from tokenunet.bundle.importers.archive import ModelFiles, read_json
from tokenunet.bundle.importers.checkpoint import read_checkpoint
from tokenunet.bundle.importers.description import ForeignModel, channel_of, described_origin
from tokenunet.bundle.manifest import Channel, ModelManifest
from tokenunet.core.errors import DatasetError, ModelError
from tokenunet.core.label_names import labels_of, meaning_of
from tokenunet.core.regions import ET_LABEL, NCR, REGIONS
from tokenunet.networks.imported import MONAI_NETWORKS

_METADATA = "configs/metadata.json"
_CONFIGURATIONS = ("configs/inference.json", "configs/evaluate.json", "configs/train.json")
_WEIGHTS = "models/model.pt"
_NETWORKS = ("network_def", "network", "net")
_LOADING = {
    *("LoadImage", "EnsureChannelFirst", "EnsureType", "CastToType", "ToTensor", "ConcatItems", "AddChannel"),
    *("SelectItems", "ToDevice"),
}
"""Transforms that leave intensities and voxels as they are."""
_NO_INFLUENCE = {"_target_", "keys", "device", "allow_missing_keys"}
_IN_ORDER: Mapping[str, tuple[str, ...]] = {
    "Orientation": ("axcodes",),
    "Spacing": ("pixdim", "mode"),
    "NormalizeIntensity": ("nonzero", "channel_wise"),
}
"""Transforms of the scans that are reproduced, in the only order of them, and their arguments."""
_USUAL_WINDOWS = {"padding_mode": "constant", "cval": 0, "sigma_scale": 0.125}
"""Arguments of the sliding window that must have their usual values."""
_MOST_DEPTH = 10
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
    configuration = _Configuration(read_json(files, name), f"{name} of {files.source}")
    metadata = read_json(files, _METADATA)
    try:
        manifest = _manifest(files, configuration, metadata)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ModelError(f"{files.source} is not usable: {error!r}.", "Copy the whole bundle again.") from error
    return ForeignModel(manifest, (read_checkpoint(files, _WEIGHTS).weights,))


class _Configuration:
    """A bundle's configuration, of which only plain values and references to them are read."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = values
        self.where = where

    def plain(self, value: Any, name: str, depth: int = 0) -> Any:
        """Return a value with references replaced.

        Args:
            value: What the configuration holds.
            name: Where it is, for messages.
            depth: Number of references that led to it.

        Raises:
            ModelError: If it is, or refers to, an expression.
        """
        if depth > _MOST_DEPTH:
            raise ModelError(f"{name} in {self.where} refers to itself.", "Correct the bundle.")
        if isinstance(value, str) and value.startswith("$"):
            raise ModelError(
                f"{name} in {self.where} is the expression {value[:80]!r}, which is not executed.",
                "Replace it by its value, and import the bundle again.",
            )
        if isinstance(value, str) and value.startswith("@"):
            return self.plain(self._referred(value[1:], name), name, depth + 1)
        if isinstance(value, dict):
            return {key: self.plain(inner, f"{name}::{key}", depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.plain(inner, f"{name}::{place}", depth + 1) for place, inner in enumerate(value)]
        return value

    def _referred(self, path: str, name: str) -> Any:
        value: Any = self.values
        for step in path.replace("#", "::").split("::"):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise ModelError(f"{name} in {self.where} refers to {path!r}, which it does not have.") from error
        return value


def _manifest(files: ModelFiles, configuration: _Configuration, metadata: dict[str, Any]) -> ModelManifest:
    class_name, arguments = _network(configuration)
    formats = metadata["network_data_format"]
    channels = _channels(formats["inputs"]["image"], files.source)
    inputs, outputs = arguments.pop("in_channels", len(channels)), arguments.pop("out_channels")
    if inputs != len(channels):
        raise ModelError(
            f"The network of {files.source} takes {inputs} channels, but {_METADATA} names {len(channels)}.",
            "Correct its channel_def.",
        )
    normalization, spacing, orientation = _preprocessing(configuration)
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


def _network(configuration: _Configuration) -> tuple[str, dict[str, Any]]:
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
    described: Mapping[str, Any], outputs: int, configuration: _Configuration
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


def _activation(configuration: _Configuration, otherwise: str) -> str:
    for transform in _transforms(configuration, "postprocessing"):
        if _class_of(transform) == "Activations":
            softmax = configuration.plain(transform.get("softmax", False), "Activationsd::softmax")
            sigmoid = configuration.plain(transform.get("sigmoid", False), "Activationsd::sigmoid")
            if bool(softmax) != bool(sigmoid):
                return "softmax" if softmax else "sigmoid"
    return otherwise


def _transforms(configuration: _Configuration, name: str) -> list[dict[str, Any]]:
    """Return the transforms of a part of the configuration that are switched on.

    Raises:
        ModelError: If the part, or one of its transforms, is an expression.
    """
    described = _followed(configuration, configuration.values.get(name, {}), name)
    listed = described.get("transforms", []) if isinstance(described, dict) else described
    followed = [_followed(configuration, t, f"{name}::transforms") for t in _followed(configuration, listed, name)]
    return [t for t in followed if not configuration.plain(t.get("_disabled_", False), f"{name}::_disabled_")]


def _followed(configuration: _Configuration, value: Any, name: str) -> Any:
    """Return what a reference refers to, without looking into it; other values as they are."""
    return configuration.plain(value, name) if isinstance(value, str) else value


def _class_of(transform: Mapping[str, Any]) -> str:
    return str(transform.get("_target_", "")).split(".")[-1].removesuffix("d").removesuffix("D")


def _preprocessing(
    configuration: _Configuration,
) -> tuple[Normalization, tuple[float, float, float] | None, str]:
    """Return normalization, voxel size (None keeps the scans') and orientation."""
    if "preprocessing" not in configuration.values:
        raise ModelError(f"{configuration.where} has no preprocessing.", "Describe there how scans are prepared.")
    normalization: Normalization = "none"
    spacing, orientation = None, "LPS"
    left = list(_IN_ORDER)
    for transform in _transforms(configuration, "preprocessing"):
        kind = _class_of(transform)
        if kind in _LOADING:
            continue
        plain = {
            name: configuration.plain(value, f"{kind}d::{name}")
            for name, value in transform.items()
            if name not in _NO_INFLUENCE
        }
        _check_transform(kind, plain, left, transform.get("_target_"), configuration.where)
        left = left[left.index(kind) + 1 :]
        if kind == "NormalizeIntensity":
            normalization = "nonzero_zscore" if plain.get("nonzero") else "zscore"
        elif kind == "Spacing":
            x, y, z = (float(size) for size in plain["pixdim"])
            spacing = (x, y, z)
        else:
            orientation = str(plain["axcodes"]).upper()
    return normalization, spacing, orientation


def _check_transform(kind: str, arguments: dict[str, Any], left: list[str], target: Any, where: str) -> None:
    """Check that a transform is reproduced as it is.

    Raises:
        ModelError: If its class, its place or one of its arguments is not supported.
    """
    if kind not in _IN_ORDER:
        problem = f"The transform {target!r} in {where} is not supported."
    elif kind not in left:
        problem = f"The transform {target!r} in {where} is not supported after the one before it."
    elif unknown := sorted(arguments.keys() - _IN_ORDER[kind]):
        problem = f"{unknown[0]} of the transform {target!r} in {where} is not supported."
    elif kind == "NormalizeIntensity" and not arguments.get("channel_wise"):
        problem = f"The transform {target!r} in {where} normalizes all channels together, which is not supported."
    elif kind == "Spacing" and set(_as_list(arguments.get("mode", "bilinear"))) != {"bilinear"}:
        problem = f"mode {arguments['mode']!r} of the transform {target!r} in {where} is not supported."
    else:
        return
    raise ModelError(
        problem,
        "Supported are, in this order, Orientationd (axcodes), Spacingd (pixdim, bilinear) and NormalizeIntensityd "
        "(channel_wise).",
    )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _windows(
    configuration: _Configuration, spacing: tuple[float, float, float] | None
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
