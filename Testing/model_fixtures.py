"""A tiny Token-UNet with random weights: it runs in milliseconds and segments nothing sensibly."""

from pathlib import Path

import torch
from tokenunet.bundle.bundle import ModelManifest, save_bundle
from tokenunet.networks import build_network

SMALL_MANIFEST = ModelManifest(
    name="Tiny random Token-UNet",
    architecture="token_unet_transformer",
    arguments={"channels": [4, 8, 8, 16], "depth": 1, "heads": 4, "hidden": 8},
    patch_size=(32, 32, 32),
)


def small_bundle(folder: Path, manifest: ModelManifest = SMALL_MANIFEST, seed: int = 0, members: int = 1) -> Path:
    """Writes the tiny model, or an ensemble of them, as a bundle; the same seed gives the same weights."""
    torch.manual_seed(seed)
    networks = [
        build_network(manifest.architecture, len(manifest.channels), **manifest.arguments) for _ in range(members)
    ]
    return save_bundle(folder, manifest, networks)
