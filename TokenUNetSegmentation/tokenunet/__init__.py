"""Token-UNet brain-tumor segmentation: networks, model bundles, preprocessing, inference and synthetic patients.

One patient goes ``Study`` -> `prepare` -> ``Prepared`` -> `predict` -> ``Prediction`` -> `restore` -> ``Result``.
Nothing here imports Slicer or Qt, and the public names below are loaded at their first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenunet.api import SegmentationResult, follow_up, load_model, segment, train
    from tokenunet.bundle.store import stored_models as list_models
    from tokenunet.inference.overlays import register_overlays
    from tokenunet.networks.registry import build_network, register_architecture
    from tokenunet.synthesis import synthetic_patient

__version__ = "0.1.0"
__all__ = [
    "SegmentationResult",
    "build_network",
    "follow_up",
    "list_models",
    "load_model",
    "register_architecture",
    "register_overlays",
    "segment",
    "synthetic_patient",
    "train",
]

_LAZY = {
    "SegmentationResult": ("tokenunet.api", "SegmentationResult"),
    "build_network": ("tokenunet.networks.registry", "build_network"),
    "follow_up": ("tokenunet.api", "follow_up"),
    "list_models": ("tokenunet.bundle.store", "stored_models"),
    "load_model": ("tokenunet.api", "load_model"),
    "register_architecture": ("tokenunet.networks.registry", "register_architecture"),
    "register_overlays": ("tokenunet.inference.overlays", "register_overlays"),
    "segment": ("tokenunet.api", "segment"),
    "synthetic_patient": ("tokenunet.synthesis", "synthetic_patient"),
    "train": ("tokenunet.api", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tokenunet' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
