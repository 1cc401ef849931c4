"""From a foreign model to a bundle."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from tokenunet.bundle.bundle import ModelBundle, save_weights
from tokenunet.bundle.files import CARD_NAME
from tokenunet.bundle.importers.archive import ModelFiles, open_model
from tokenunet.bundle.importers.description import ForeignModel
from tokenunet.bundle.importers.monai import import_monai, is_monai
from tokenunet.bundle.importers.nnunet import import_nnunet, is_nnunet
from tokenunet.bundle.manifest import MANIFEST_NAME, ModelManifest
from tokenunet.core.errors import ModelError, UnusableWeightsError
from tokenunet.networks import build_network
from tokenunet.networks.imported import NEED_MEMORY, names_of_tensors


def is_foreign(path: Path) -> bool:
    """Return whether a folder or archive is not a bundle of ours.

    Raises:
        ModelError: If there is no such folder or archive.
        UnsafeBundleError: If an archive holds links or paths that leave it.
    """
    return not any(name.split("/")[-1] == MANIFEST_NAME for name in open_model(path).names)


def read_foreign_model(
    path: Path, mirroring: bool = False, on_fraction: Callable[[float], None] = lambda fraction: None
) -> ForeignModel:
    """Read a model that another framework trained, and check that it can be built.

    Args:
        path: Folder or archive of a trained model of nnU-Net v2, or of a MONAI bundle.
        mirroring: Whether windows of a model of nnU-Net are predicted mirrored too.
        on_fraction: Callback that receives the share of the weights that were read, from 0 to 1.

    Raises:
        ModelError: If it is of an unknown kind, or cannot be reproduced.
        UnusableWeightsError: If its weights do not fit, or hold anything but tensors and plain values.
    """
    foreign = _read(open_model(path), mirroring, on_fraction)
    manifest = ModelManifest.from_json(foreign.manifest.to_json(), str(path))
    for weights in foreign.members:
        _check_number(manifest, weights, path)
        ModelBundle(manifest, weights, str(path)).build()
    return replace(foreign, manifest=manifest)


def _check_number(manifest: ModelManifest, weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Check that a network has as many weights as are given before memory is allocated for it."""
    if manifest.architecture in NEED_MEMORY:
        return
    with torch.device("meta"):
        network = build_network(manifest.architecture, len(manifest.channels), manifest.outputs, **manifest.arguments)
    tensors = network.state_dict(keep_vars=True)
    needed = sum(tensors[names[0]].numel() for names in names_of_tensors(network).values())
    given = sum(tensor.numel() for tensor in weights.values())
    if needed != given:
        raise UnusableWeightsError(
            f"The weights of {path} do not fit its architecture: it has {needed} of them, and {given} are given.",
            "Copy the whole model again.",
        )


def _read(files: ModelFiles, mirroring: bool, on_fraction: Callable[[float], None]) -> ForeignModel:
    if is_nnunet(files):
        return import_nnunet(files, mirroring, on_fraction)
    if is_monai(files):
        return import_monai(files)
    raise ModelError(
        f"{files.source} is no bundle, no trained model of nnU-Net v2 and no MONAI bundle.",
        "A bundle has model.json, a model of nnU-Net plans.json, and a MONAI bundle configs/metadata.json.",
    )


def save_foreign_model(foreign: ForeignModel, folder: Path) -> Path:
    """Write a foreign model as a bundle, with a card that says where it came from; return the folder."""
    card = _card(foreign.manifest, len(foreign.members))
    return save_weights(folder, foreign.manifest, foreign.members, torch.float32, {CARD_NAME: card})


def _card(manifest: ModelManifest, members: int) -> str:
    channels, regions = ", ".join(manifest.inputs.names), ", ".join(manifest.regions)
    lines = [
        f"# {manifest.name}",
        "",
        "This model was trained elsewhere and imported. Its accuracy has not been measured by this program.",
        "",
        *(f"- {name.replace('_', ' ')}: {value}" for name, value in manifest.training.items() if value),
        f"- network: {manifest.architecture}, {members} of them",
        f"- channels: {channels}",
        f"- regions: {regions}",
        f"- orientation of the images: {manifest.orientation}; where nothing states it, that of BraTS is assumed",
        f"- license: {manifest.license or 'not stated'}",
        f"- intended use: {manifest.intended_use or 'not stated'}",
    ]
    return "\n".join(lines) + "\n"
