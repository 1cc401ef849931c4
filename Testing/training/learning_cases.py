"""Cases and settings small enough to train on within seconds."""

from pathlib import Path
from typing import Any

import numpy as np
from tokenunet.training.config.configuration import TrainingConfiguration
from tokenunet.training.samples.cache import CachedCase

SIDE = 32
TINY_NETWORK = {"channels": [4, 8, 8, 16], "depth": 1, "heads": 4, "hidden": 8}


def cached_case(folder: Path, number: int, side: int = SIDE) -> CachedCase:
    """A prepared case of noise with a bright block, which is the tumor."""
    random = np.random.default_rng(number)
    labels = np.zeros((side, side, side), np.uint8)
    z, y, x = random.integers(4, side - 16, 3)
    labels[z : z + 12, y : y + 10, x : x + 10] = 2
    labels[z + 2 : z + 8, y + 2 : y + 8, x + 2 : x + 8] = 1
    labels[z + 3 : z + 6, y + 3 : y + 6, x + 3 : x + 6] = 4
    image = random.normal(0, 0.5, (4, *labels.shape)) + labels[None] / 2
    place = folder / f"case_{number}"
    place.mkdir(parents=True)
    np.save(place / "image.npy", image.astype(np.float16))
    np.save(place / "labels.npy", labels)
    return CachedCase(place.name, place)


def tiny_configuration(**changes: Any) -> TrainingConfiguration:
    """A few steps of a network with few channels, on the CPU."""
    values: dict[str, Any] = {
        "architecture": "token_unet_transformer",
        "arguments": TINY_NETWORK,
        "epochs": 3,
        "patch_size": (24, 24, 24),
        "tumor_share": 0.5,
        "accumulation": 2,
        "dice_smoothing": 50.0,
        "optimizer": "adamw",
        "average_decay": 0.5,
        "precision": "fp32",
        "validate_every": 1,
        "workers": 0,
        "checkpoint_every_s": 0.0,
    }
    return TrainingConfiguration.from_json(values | changes)
