"""How a MONAI bundle prepares scans, as far as it can be reproduced."""

from collections.abc import Mapping
from typing import Any

from tokenunet.bundle.imported import Normalization
from tokenunet.bundle.importers.monai_configuration import MonaiConfiguration, class_of
from tokenunet.core.errors import ModelError

_LOADING = {
    *("LoadImage", "EnsureChannelFirst", "EnsureType", "CastToType", "ToTensor", "ConcatItems", "AddChannel"),
    *("SelectItems", "ToDevice"),
}
"""Transforms that leave intensities and voxels as they are."""
_NO_INFLUENCE = {"_target_", "_disabled_", "keys", "device", "allow_missing_keys"}
_IN_ORDER: Mapping[str, tuple[str, ...]] = {
    "Orientation": ("axcodes",),
    "Spacing": ("pixdim", "mode"),
    "NormalizeIntensity": ("nonzero", "channel_wise"),
}
"""Transforms of the scans that are reproduced, in the only order of them, and their arguments."""


def read_preprocessing(
    configuration: MonaiConfiguration,
) -> tuple[Normalization, tuple[float, float, float] | None, str]:
    """Return normalization, voxel size (None keeps the scans') and orientation.

    Raises:
        ModelError: If a transform, its place or one of its arguments is not supported, or an expression.
    """
    if "preprocessing" not in configuration.values:
        raise ModelError(f"{configuration.where} has no preprocessing.", "Describe there how scans are prepared.")
    normalization: Normalization = "none"
    spacing, orientation = None, "LPS"
    left = list(_IN_ORDER)
    for transform in configuration.transforms("preprocessing"):
        kind = class_of(transform)
        if kind in _LOADING or configuration.is_disabled(transform):
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
