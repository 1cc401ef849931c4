"""Conversion of keys of files that version 0.1 wrote in British spelling."""

from typing import Any

_CURRENT = {
    "normalisation": "normalization",
    "licence": "license",
    "optimiser": "optimizer",
    "tumour_share": "tumor_share",
    "tumour_following_masks": "tumor_selective_maps",
    "tumor_following_masks": "tumor_selective_maps",
}


def current_key(key: str) -> str:
    """Return the current spelling of a key."""
    return _CURRENT.get(key, key)


def with_current_keys(value: Any) -> Any:
    """Replace the keys of version 0.1 by the current ones, at every depth.

    Args:
        value: Parsed JSON.

    Example:
        >>> with_current_keys({"training": {"optimiser": "sgd"}})
        {'training': {'optimizer': 'sgd'}}
    """
    if isinstance(value, dict):
        return {current_key(key): with_current_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_current_keys(inner) for inner in value]
    return value
