"""The models to choose from, read without PyTorch, which may not be installed yet."""

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenunet.io.resources import resource


@dataclass(frozen=True)
class ListedModel:
    """What the panel knows of a model.

    Attributes:
        title: for people.
        voxel_mm3: volume of the voxels that its network sees.
        members: networks of an ensemble; 1 for any other model.
    """

    title: str
    voxel_mm3: float = 1.0
    members: int = 1


def available_models() -> dict[str, ListedModel]:
    """Models by name, the shipped ones first.

    The folders are those of `tokenunet.bundle.store`; what the worker finds wrong with a model it says itself.
    """
    folders = [Path(os.environ.get("TOKENUNET_MODELS") or Path.home() / ".tokenunet" / "models")]
    with suppress(FileNotFoundError):
        folders.insert(0, resource("Models"))
    models: dict[str, ListedModel] = {}
    for folder in folders:
        for manifest in sorted(folder.glob("*/model.json")):
            try:
                noted = json.loads(manifest.read_text(encoding="utf-8"))
                model = ListedModel(str(noted["name"]), math.prod(noted["spacing"]), int(noted.get("members", 1)))
            except (OSError, ValueError, KeyError, TypeError):
                continue
            models.setdefault(manifest.parent.name, model)
    return models
