"""Model bundles: a folder or one .zip with ``model.json``, ``weights.safetensors`` and maybe ``probe.safetensors``.

The manifest describes what the weights do not: architecture and arguments, order and names of channels and regions,
spacing, orientation, normalization, patch size, training and intended use.
A bundle contains one network, or several as an ensemble; the weights of ensemble member k are then named ``k.…``.
The probe reads out the encoder; its calibration is in the manifest.
Nothing in a bundle is unpickled or executed, and nothing is unpacked to disk: the files are read, sized and checked in
memory.

`load_bundle` reads a bundle, `save_bundle` writes one, and `ModelBundle.build` builds the network.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from tokenunet.bundle.files import PROBE_NAME, SIZE_LIMITS, WEIGHTS_NAME, read_bundle_files
from tokenunet.bundle.manifest import MANIFEST_NAME, Channel, ModelManifest
from tokenunet.core.errors import ArchitectureError, ModelError, UnusableWeightsError
from tokenunet.io.files import staging_folder
from tokenunet.networks import build_network
from tokenunet.networks.probe import Probe
from tokenunet.review.calibration import ReviewCalibration

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
    """Manifest with its weights in memory.

    Attributes:
        manifest: Content of ``model.json``.
        weights: Parameters by name; those of ensemble member k have the prefix ``k.``.
        source: Path of the bundle, for messages and run reports.
        probe: Probe of the network's encoder; None if none was fitted to these weights.
    """

    manifest: ModelManifest
    weights: dict[str, torch.Tensor]
    source: str
    probe: Probe | None = None

    @property
    def review(self) -> ReviewCalibration | None:
        """Calibration of the review; None if none was fitted to these weights."""
        review = self.manifest.review
        return review if review is not None and review.weights_sha256 == self.manifest.weights_sha256 else None

    def build(self, member: int = 0) -> nn.Module:
        """Build a network with its weights.

        Args:
            member: Number of the ensemble member, from 0.

        Returns:
            Network in single precision on the CPU, in evaluation mode.

        Raises:
            IndexError: If there is no such member.
            ModelError: If the arguments do not fit the architecture.
            UnusableWeightsError: If the weights do not fit the network.
        """
        m = self.manifest
        if not 0 <= member < m.members:
            raise IndexError(f"{self.source} has no member {member}, only {m.members}")
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
    """Write a bundle folder, replacing an earlier bundle in it.

    Args:
        folder: Folder of the bundle; created if needed.
        manifest: Manifest, whose checksum and number of members are set here.
        networks: Network of each ensemble member; consumed one at a time.
        dtype: Floating-point type of the stored weights.

    Returns:
        The folder.

    Raises:
        ModelError: If there is no network, or the weights exceed the size limit.
        OutputError: If the folder cannot be written.
    """
    return save_weights(folder, manifest, (network.state_dict() for network in networks), dtype)


def save_weights(
    folder: Path,
    manifest: ModelManifest,
    networks: Iterable[Mapping[str, torch.Tensor]],
    dtype: torch.dtype,
    texts: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write a bundle folder from weights by name, and further texts by the names of their files; see `save_bundle`."""
    members = [
        {
            name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
            for name, tensor in weights.items()
        }
        for weights in networks
    ]
    if not members:
        raise ModelError(f"There is no network to write to {folder}.")
    weights = members[0]
    if len(members) > 1:
        weights = {f"{k}.{name}": tensor for k, member in enumerate(members) for name, tensor in member.items()}
    data = safetensors.torch.save(weights)
    if len(data) > SIZE_LIMITS[WEIGHTS_NAME]:
        raise ModelError(
            f"The weights for {folder} have {len(data)} bytes; the limit is {SIZE_LIMITS[WEIGHTS_NAME]}.",
            "Store them in half precision, or store fewer networks.",
        )
    with staging_folder(folder, last=MANIFEST_NAME) as staging:
        (staging / WEIGHTS_NAME).write_bytes(data)
        for name, text in texts.items():
            (staging / name).write_text(text, encoding="utf-8")
        manifest = replace(manifest, members=len(members), weights_sha256=hashlib.sha256(data).hexdigest())
        (staging / MANIFEST_NAME).write_text(manifest.to_json())
    return folder


def save_review(folder: Path, probe: Probe, calibration: ReviewCalibration) -> None:
    """Add a probe and the calibration of the review to a bundle folder, in place of earlier ones.

    Args:
        folder: Folder of the bundle.
        probe: Probe of the encoder.
        calibration: Calibration for the bundle's weights.

    Raises:
        ModelError: If the folder is not a usable bundle.
        OutputError: If the folder cannot be written.
    """
    files = read_bundle_files(folder)
    manifest = replace(ModelManifest.from_json(files[MANIFEST_NAME], str(folder)), review=calibration)
    with staging_folder(folder, last=MANIFEST_NAME) as staging:
        data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in probe.state_dict().items()})
        (staging / PROBE_NAME).write_bytes(data)
        (staging / MANIFEST_NAME).write_text(manifest.to_json())


def load_bundle(path: Path) -> ModelBundle:
    """Read a bundle folder or .zip file and verify its checksum.

    Args:
        path: Bundle folder or .zip file.

    Raises:
        ModelError: If there is no bundle, or its manifest is not usable.
        UnsafeBundleError: If an archive contains links, paths that leave it, or entries beyond the size limits.
        UnusableWeightsError: If the weights do not match the manifest's checksum or number of members, or are not a
            safetensors file.
    """
    files = read_bundle_files(path)
    manifest = ModelManifest.from_json(files[MANIFEST_NAME], str(path))
    if hashlib.sha256(files[WEIGHTS_NAME]).hexdigest() != manifest.weights_sha256:
        raise UnusableWeightsError(
            f"The weights of {path} do not match their checksum: the file is damaged or was changed.",
            "Get the model again from its source.",
        )
    try:
        weights = safetensors.torch.load(files[WEIGHTS_NAME])
    except SafetensorError as error:
        raise UnusableWeightsError(f"{WEIGHTS_NAME} of {path} is not a safetensors file: {error}") from error
    if manifest.members > 1:
        _check_members(weights, manifest.members, path)
    bundle = ModelBundle(manifest, weights, str(path))
    if PROBE_NAME not in files or bundle.review is None:
        return bundle
    return replace(bundle, probe=_probe(files[PROBE_NAME], path))


def _probe(data: bytes, path: Path) -> Probe:
    """Read a probe.

    Raises:
        UnusableWeightsError: If it is damaged.
    """
    try:
        tensors = safetensors.torch.load(data)
        probe = Probe(len(tensors["weight"]), len(tensors["fine_weight"]))
        probe.load_state_dict(tensors)
    except (SafetensorError, KeyError, RuntimeError, TypeError) as error:
        raise UnusableWeightsError(
            f"{PROBE_NAME} of {path} is not a usable probe: {error}", "Get the model again from its source."
        ) from error
    return probe


def _member_weights(weights: dict[str, torch.Tensor], member: int) -> dict[str, torch.Tensor]:
    prefix = f"{member}."
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def _check_members(weights: dict[str, torch.Tensor], members: int, path: Path) -> None:
    """Check that all ensemble members have identical parameter shapes.

    Raises:
        UnusableWeightsError: If they differ.
    """
    shapes = [{name: w.shape for name, w in _member_weights(weights, k).items()} for k in range(members)]
    if any(shape != shapes[0] for shape in shapes) or sum(map(len, shapes)) != len(weights):
        raise UnusableWeightsError(
            f"The weights of {path} are not those of {members} networks of one architecture.",
            "Export the model again.",
        )
