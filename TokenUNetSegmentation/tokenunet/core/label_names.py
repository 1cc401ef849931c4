"""What the labels of a ``dataset.json`` mean, by their names."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tokenunet.core.errors import DatasetError
from tokenunet.core.label_schemes import LabelValues
from tokenunet.core.regions import ED, ET_LABEL, NCR

_MEANINGS = {
    "background": r"background|bg|(?:resection )?cavity|rc",
    "WT": r"whole|wt",
    "ED": r"o?edema\w*|ed|snfh|surround\w*|hyperintens\w*|invas\w*|invaded|infiltrat\w*|peritumou?ral",
    "NCR": r"necro\w*|cyst\w*|ncr|net|netc|non\W*enhanc\w*",
    "ET": r"enhanc\w*|et|gd",
    "TC": r"core|tc",
}
"""What the words of a label's name say; a resection cavity is no tumor.

The first that matches counts: "non-enhancing tumor core" is no core."""


def labels_of(names: Mapping[str, Any]) -> LabelValues:
    """Read the ``labels`` of a ``dataset.json``.

    Args:
        names: ``{"edema": 1}`` (nnU-Net), ``{"1": "edema"}`` (MSD), or nested regions ``{"whole tumor": [1, 2, 3]}``.

    Raises:
        DatasetError: If a name is not understood, or the tumor's parts cannot all be distinguished.
    """
    values: dict[str, set[int]] = {}
    for key, value in names.items():
        name, numbers = (value, [int(key)]) if isinstance(value, str) else (key, _integers(value))
        if name.lower() == "ignore":
            continue
        values.setdefault(meaning_of(name), set()).update(numbers)
    background = values.pop("background", set()) | {0}
    if "WT" in values or "TC" in values:
        whole, core, enhancing = (_needed(values, region) for region in ("WT", "TC", "ET"))
        if not enhancing < core < whole:
            raise DatasetError("The regions in dataset.json are not nested: ET in TC in WT.", "Correct its labels.")
        parts = {NCR: core - enhancing, ED: whole - core, ET_LABEL: enhancing}
    else:
        parts = {NCR: _needed(values, "NCR"), ED: _needed(values, "ED"), ET_LABEL: _needed(values, "ET")}
    found = [(number, label) for label, numbers in ({0: background} | parts).items() for number in numbers]
    if len(dict(found)) < len(found):
        raise DatasetError("dataset.json gives one label value two meanings.", "Correct its labels.")
    return dict(found)


def _integers(value: int | Iterable[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def meaning_of(name: str) -> str:
    """Return what a label's name speaks of: background, WT, TC, ET, ED or NCR.

    Raises:
        DatasetError: If it is not understood.
    """
    plain = name.lower().replace("_", " ")
    for meaning, pattern in _MEANINGS.items():
        if re.search(rf"\b(?:{pattern})\b", plain):
            return meaning
    raise DatasetError(
        f'The label "{name}" in dataset.json is not understood.',
        "Name the labels edema, necrotic or non-enhancing core, and enhancing tumor.",
    )


def _needed(values: Mapping[str, set[int]], meaning: str) -> set[int]:
    if meaning not in values:
        raise DatasetError(
            f"dataset.json has no label for {meaning}.",
            "It must have edema (ED), necrotic or non-enhancing core (NCR) and enhancing tumor (ET).",
        )
    return values[meaning]
