"""The models to choose from, read without PyTorch, which may not be installed yet."""

import json
import os
from contextlib import suppress
from pathlib import Path

from tokenunet.resources import resource


def available_models() -> dict[str, str]:
    """Titles by name, the shipped models first.

    The folders are those of `tokenunet.model_store`; what the worker finds wrong with a model it says itself.
    """
    folders = [Path(os.environ.get("TOKENUNET_MODELS") or Path.home() / ".tokenunet" / "models")]
    with suppress(FileNotFoundError):
        folders.insert(0, resource("Models"))
    models: dict[str, str] = {}
    for folder in folders:
        for manifest in sorted(folder.glob("*/model.json")):
            try:
                title = json.loads(manifest.read_text(encoding="utf-8"))["name"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            models.setdefault(manifest.parent.name, str(title))
    return models
