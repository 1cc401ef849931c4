"""Keys of files that version 0.1 wrote in British spelling."""

from typing import Any

_CURRENT = {
    "normalisation": "normalization",
    "licence": "license",
    "optimiser": "optimizer",
    "tumour_share": "tumor_share",
    "tumour_following_masks": "tumor_following_masks",
}


def with_current_keys(value: Any) -> Any:
    """Return a JSON value with the keys of version 0.1 replaced by today's, at every depth.

    Args:
        value: Parsed JSON, or a checkpoint's nested dictionary.

    Example:
        >>> with_current_keys({"training": {"optimiser": "sgd"}})
        {'training': {'optimizer': 'sgd'}}
    """
    if isinstance(value, dict):
        return {_CURRENT.get(key, key): with_current_keys(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_current_keys(inner) for inner in value]
    return value
