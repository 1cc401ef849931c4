"""Model bundles: a folder or one .zip with ``model.json`` and ``weights.safetensors``.

The manifest says all that the weights themselves do not: architecture and arguments, order and names of channels and
regions, spacing, orientation, normalisation, patch size, how it was trained and what it may be used for.
Nothing in a bundle is unpickled or executed, and nothing is unpacked to disk: the two files are read, sized and
checked in memory.

`load_bundle` reads one, `save_bundle` writes one, `ModelBundle.build` makes the network.
"""

import hashlib
import json
import stat
import zipfile
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from tokenunet.errors import ModelError, UnsafeBundleError, UnusableWeightsError
from tokenunet.files import staging_folder
from tokenunet.networks import ARCHITECTURES, build_network
from tokenunet.preprocessing import ModelSpace
from tokenunet.regions import REGIONS
from tokenunet.sequences import ALIASES, SEQUENCES, SequenceName

SCHEMA_VERSION = 1
MANIFEST_NAME = "model.json"
WEIGHTS_NAME = "weights.safetensors"
_SIZE_LIMITS = {MANIFEST_NAME: 2**20, WEIGHTS_NAME: 2**30}
_LARGEST_ARGUMENT = 4096

Normalisation = Literal["zscore"]
Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class Channel:
    """One input channel: the sequence it takes, and the names under which users have it."""

    name: SequenceName
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelManifest:
    """What ``model.json`` holds.

    Attributes:
        name: the model's name, as shown to users.
        architecture: a name in `tokenunet.networks.ARCHITECTURES`.
        arguments: the architecture's own arguments.
        channels: the input channels in the network's order.
        regions: names of the regions in the order of the network's outputs. With ``softmax`` the outputs are the
            background and the exclusive parts NCR, ED and ET instead, and the regions are sums of them.
        labels: values of the exclusive labels NCR, ED and ET that this model was trained on.
        activation: ``sigmoid`` for independent regions, ``softmax`` for exclusive labels.
        spacing: voxel size of the network's input in mm, in the order x, y, z.
        orientation: three letters towards which x, y and z grow, such as ``LPS``.
        normalisation: ``zscore`` is zero mean and unit variance inside the brain, 0 outside, for each channel.
        patch_size: sliding window in voxels, in the order z, y, x.
        training: summary of how it was trained; free form.
        licence: SPDX identifier or a sentence.
        intended_use: what it may and may not be used for.
        weights_sha256: SHA-256 of ``weights.safetensors``.
        schema_version: version of this format.
    """

    name: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    channels: tuple[Channel, ...] = tuple(Channel(name, ALIASES[name]) for name in SEQUENCES)
    regions: tuple[str, ...] = REGIONS
    labels: dict[str, int] = field(default_factory=lambda: {"NCR": 1, "ED": 2, "ET": 4})
    activation: Activation = "sigmoid"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    orientation: str = "LPS"
    normalisation: Normalisation = "zscore"
    patch_size: tuple[int, int, int] = (128, 128, 128)
    training: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    intended_use: str = ""
    weights_sha256: str = ""
    schema_version: int = SCHEMA_VERSION

    @property
    def space(self) -> ModelSpace:
        """What the network's input looks like."""
        return ModelSpace(tuple(c.name for c in self.channels), self.spacing, self.orientation)

    @property
    def outputs(self) -> int:
        """Number of the network's output channels."""
        return len(self.regions) + (self.activation == "softmax")

    def to_json(self) -> str:
        """The text of ``model.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @staticmethod
    def from_json(text: str | bytes, source: str) -> "ModelManifest":
        """Reads and checks ``model.json``; ``source`` names the bundle in errors.

        Raises:
            ModelError: where the text is no JSON object, is of another schema version, or holds unusable values.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ModelError(f"{MANIFEST_NAME} of {source} is not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise ModelError(f"{MANIFEST_NAME} of {source} does not hold a JSON object.")
        if values.get("schema_version") != SCHEMA_VERSION:
            raise ModelError(
                f"{source} has schema version {values.get('schema_version')!r}; this program reads {SCHEMA_VERSION}.",
                "Install a newer Token-UNet, or export the model again.",
            )
        unknown = set(values) - {f.name for f in fields(ModelManifest)}
        if unknown:
            raise ModelError(f"{MANIFEST_NAME} of {source} has unknown fields: {', '.join(sorted(unknown))}.")
        try:
            values["channels"] = tuple(Channel(c["name"], tuple(c["aliases"])) for c in values["channels"])
            for name in ("regions", "spacing", "patch_size"):
                values[name] = tuple(values[name])
            manifest = ModelManifest(**values)
            manifest._check()
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{MANIFEST_NAME} of {source} is not usable: {error}") from error
        return manifest

    def _check(self) -> None:
        """Raises ValueError or TypeError for values that the program could not work with."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {self.architecture!r}")
        if sorted(c.name for c in self.channels) != sorted(SEQUENCES):
            raise ValueError(f"channels must be {', '.join(SEQUENCES)} in any order")
        if sorted(self.regions) != sorted(REGIONS):
            raise ValueError(f"regions must be {', '.join(REGIONS)} in any order")
        if self.activation not in ("sigmoid", "softmax"):
            raise ValueError(f"unknown activation {self.activation!r}")
        if self.normalisation != "zscore":
            raise ValueError(f"unknown normalisation {self.normalisation!r}")
        if len(self.spacing) != 3 or not all(0.1 <= s <= 10 for s in self.spacing):
            raise ValueError(f"spacing {self.spacing} is not three sizes between 0.1 and 10 mm")
        axes = ("LR", "AP", "IS")
        if len(self.orientation) != 3 or not all(sum(c in axis for c in self.orientation) == 1 for axis in axes):
            raise ValueError(f"orientation {self.orientation!r} is not three letters such as LPS")
        if len(self.patch_size) != 3 or not all(isinstance(s, int) and 32 <= s <= 512 for s in self.patch_size):
            raise ValueError(f"patch size {self.patch_size} is not three whole numbers from 32 to 512")
        if any(s % ARCHITECTURES[self.architecture].size_multiple for s in self.patch_size):
            raise ValueError(f"patch size {self.patch_size} does not fit {self.architecture}")
        for value in self.arguments.values():
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(n, int | float) and not 0 <= n <= _LARGEST_ARGUMENT for n in numbers):
                raise ValueError(f"architecture argument {value!r} is out of range")


@dataclass(frozen=True)
class ModelBundle:
    """A manifest with its weights in memory.

    Attributes:
        manifest: what ``model.json`` holds.
        weights: parameters by name.
        source: where the bundle was read from, for messages and run reports.
    """

    manifest: ModelManifest
    weights: dict[str, torch.Tensor]
    source: str

    def build(self) -> nn.Module:
        """The network with these weights, in single precision, on the CPU, in evaluation mode.

        Raises:
            ModelError: where the arguments do not fit the architecture.
            UnusableWeightsError: where the weights do not fit the network.
        """
        m = self.manifest
        try:
            network = build_network(m.architecture, len(m.channels), m.outputs, **m.arguments)
        except ValueError as error:
            raise ModelError(f"{self.source} cannot be built: {error}") from error
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as error:
            raise UnusableWeightsError(
                f"The weights of {self.source} do not fit its architecture {m.architecture}.", str(error)
            ) from error
        return network.eval()


def save_bundle(folder: Path, manifest: ModelManifest, network: nn.Module, dtype: torch.dtype = torch.float16) -> Path:
    """Writes a bundle folder, replacing the one that was there; returns ``folder``.

    Args:
        folder: the bundle, made if it does not exist.
        manifest: its checksum is filled in here.
        network: gives the weights.
        dtype: floating-point type of the stored weights.

    Raises:
        OutputError: where the folder cannot be written.
    """
    weights = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
    }
    data = safetensors.torch.save(weights)
    with staging_folder(folder) as staging:
        (staging / WEIGHTS_NAME).write_bytes(data)
        manifest = replace(manifest, weights_sha256=hashlib.sha256(data).hexdigest())
        (staging / MANIFEST_NAME).write_text(manifest.to_json())
    return folder


def load_bundle(path: Path) -> ModelBundle:
    """Reads a bundle folder or .zip and verifies its checksum.

    Raises:
        ModelError: where there is no bundle, or its manifest is not usable.
        UnsafeBundleError: where an archive holds links, paths that leave it, or entries beyond the size limits.
        UnusableWeightsError: where the weights do not match the manifest's checksum or are no safetensors file.
    """
    files = read_bundle_files(path)
    manifest = ModelManifest.from_json(files[MANIFEST_NAME], str(path))
    if hashlib.sha256(files[WEIGHTS_NAME]).hexdigest() != manifest.weights_sha256:
        raise UnusableWeightsError(
            f"The weights of {path} do not match their checksum: the file was damaged or changed.",
            "Get the model again from where it came from.",
        )
    try:
        weights = safetensors.torch.load(files[WEIGHTS_NAME])
    except SafetensorError as error:
        raise UnusableWeightsError(f"{WEIGHTS_NAME} of {path} is not a safetensors file: {error}") from error
    return ModelBundle(manifest, weights, str(path))


def read_bundle_files(path: Path) -> dict[str, bytes]:
    """The bytes of ``model.json`` and ``weights.safetensors`` of a bundle folder or .zip, not yet interpreted.

    Raises:
        ModelError: where one is missing or unreadable.
        UnsafeBundleError: as for `load_bundle`.
    """
    if path.is_dir():
        return _read_folder(path)
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    raise ModelError(f"{path} is neither a model folder nor a .zip file.", "Run: tokenunet models list")


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for name, limit in _SIZE_LIMITS.items():
        file = folder / name
        if not file.is_file():
            raise ModelError(f"{folder} is not a model: it has no {name}.", "Run: tokenunet models list")
        if file.stat().st_size > limit:
            raise UnsafeBundleError(f"{file} is larger than a model's may be ({limit} bytes).")
        files[name] = file.read_bytes()
    return files


def _read_zip(path: Path) -> dict[str, bytes]:
    """The two files of a zipped bundle, which lie at its top or in one folder."""
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                location = PurePosixPath(entry.filename.replace("\\", "/"))
                if location.is_absolute() or ".." in location.parts or ":" in entry.filename:
                    raise UnsafeBundleError(f"{path} holds {entry.filename!r}, a path that leaves the archive.")
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise UnsafeBundleError(f"{path} holds {entry.filename!r}, a link.")
                if entry.is_dir() or location.name not in _SIZE_LIMITS or len(location.parts) > 2:
                    continue
                if entry.file_size > _SIZE_LIMITS[location.name]:
                    raise UnsafeBundleError(f"{path} holds {entry.filename!r}, larger than a model's may be.")
                if location.name in files:
                    raise UnsafeBundleError(f"{path} holds {location.name} twice.")
                files[location.name] = archive.read(entry)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Get the model again from where it came from.") from error
    for name in _SIZE_LIMITS:
        if name not in files:
            raise ModelError(f"{path} is not a model: it has no {name}.")
    return files
