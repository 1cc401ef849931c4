"""Model bundles: a folder or one .zip with ``model.json`` and ``weights.safetensors``.

The manifest says all that the weights themselves do not: architecture and arguments, order and names of channels and
regions, spacing, orientation, normalization, patch size, how it was trained and what it may be used for.
A bundle holds one network, or several as an ensemble: then the weights of member k are those named ``k.…``.
Nothing in a bundle is unpickled or executed, and nothing is unpacked to disk: the two files are read, sized and
checked in memory.

`load_bundle` reads one, `save_bundle` writes one, `ModelBundle.build` makes the network.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from tokenunet.bundle.files import SIZE_LIMITS, WEIGHTS_NAME, read_bundle_files
from tokenunet.bundle.manifest import MANIFEST_NAME, Channel, ModelManifest
from tokenunet.core.errors import ArchitectureError, ModelError, UnusableWeightsError
from tokenunet.io.files import staging_folder
from tokenunet.networks import build_network

__all__ = [
    "MANIFEST_NAME",
    "Channel",
    "ModelBundle",
    "ModelManifest",
    "load_bundle",
    "save_bundle",
]


@dataclass(frozen=True)
class ModelBundle:
    """A manifest with its weights in memory.

    Attributes:
        manifest: what ``model.json`` holds.
        weights: parameters by name; those of an ensemble's member k under ``k.`` and their name.
        source: where the bundle was read from, for messages and run reports.
    """

    manifest: ModelManifest
    weights: dict[str, torch.Tensor]
    source: str

    def build(self, member: int = 0) -> nn.Module:
        """A network with its weights, in single precision, on the CPU, in evaluation mode.

        Args:
            member: which of the manifest's ``members``, from 0.

        Raises:
            IndexError: where there is no such member.
            ModelError: where the arguments do not fit the architecture.
            UnusableWeightsError: where the weights do not fit the network.
        """
        m = self.manifest
        if not 0 <= member < m.members:
            raise IndexError(f"{self.source} has no member {member}: it holds {m.members}")
        try:
            network = build_network(m.architecture, len(m.channels), m.outputs, **m.arguments)
        except ArchitectureError as error:
            raise ModelError(f"{self.source} cannot be built: {error}", error.hint) from error
        try:
            network.load_state_dict(_member_weights(self.weights, member) if m.members > 1 else self.weights)
        except RuntimeError as error:
            raise UnusableWeightsError(
                f"The weights of {self.source} do not fit its architecture {m.architecture}.", str(error)
            ) from error
        return network.eval()


def save_bundle(
    folder: Path, manifest: ModelManifest, networks: Iterable[nn.Module], dtype: torch.dtype = torch.float16
) -> Path:
    """Writes a bundle folder, replacing the one that was there; returns ``folder``.

    Args:
        folder: the bundle, made if it does not exist.
        manifest: its checksum and number of members are filled in here.
        networks: give the weights, each of one member; they are taken one after the other.
        dtype: floating-point type of the stored weights.

    Raises:
        ModelError: where there is no network, or the weights are more than a bundle may hold.
        OutputError: where the folder cannot be written.
    """
    members = [
        {
            name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
            for name, tensor in network.state_dict().items()
        }
        for network in networks
    ]
    if not members:
        raise ModelError(f"There is no network to write to {folder}.")
    weights = members[0]
    if len(members) > 1:
        weights = {f"{k}.{name}": tensor for k, member in enumerate(members) for name, tensor in member.items()}
    data = safetensors.torch.save(weights)
    if len(data) > SIZE_LIMITS[WEIGHTS_NAME]:
        raise ModelError(
            f"The weights for {folder} take {len(data)} bytes; a model may have {SIZE_LIMITS[WEIGHTS_NAME]}.",
            "Store them in half precision, or fewer of the networks.",
        )
    with staging_folder(folder) as staging:
        (staging / WEIGHTS_NAME).write_bytes(data)
        manifest = replace(manifest, members=len(members), weights_sha256=hashlib.sha256(data).hexdigest())
        (staging / MANIFEST_NAME).write_text(manifest.to_json())
    return folder


def load_bundle(path: Path) -> ModelBundle:
    """Reads a bundle folder or .zip and verifies its checksum.

    Raises:
        ModelError: where there is no bundle, or its manifest is not usable.
        UnsafeBundleError: where an archive holds links, paths that leave it, or entries beyond the size limits.
        UnusableWeightsError: where the weights do not match the manifest's checksum, are no safetensors file, or are
            not those of as many like networks as the manifest says.
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
    if manifest.members > 1:
        _check_members(weights, manifest.members, path)
    return ModelBundle(manifest, weights, str(path))


def _member_weights(weights: dict[str, torch.Tensor], member: int) -> dict[str, torch.Tensor]:
    prefix = f"{member}."
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _check_members(weights: dict[str, torch.Tensor], members: int, path: Path) -> None:
    """Sees to it that all members are like the first, so that all can be built if that one can."""
    shapes = [{name: w.shape for name, w in _member_weights(weights, k).items()} for k in range(members)]
    if any(shape != shapes[0] for shape in shapes) or sum(map(len, shapes)) != len(weights):
        raise UnusableWeightsError(
            f"The weights of {path} are not those of {members} networks of one architecture.",
            "Export the model again.",
        )
