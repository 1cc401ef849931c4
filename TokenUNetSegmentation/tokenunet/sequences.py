"""The four MR sequences and how people name them."""

import re
from typing import Literal, get_args

SequenceName = Literal["T1", "T1ce", "T2", "FLAIR"]

SEQUENCES: tuple[SequenceName, ...] = get_args(SequenceName)

ALIASES: dict[SequenceName, tuple[str, ...]] = {
    "T1": ("t1", "t1n", "t1w"),
    "T1ce": ("t1ce", "t1c", "t1gd", "t1wce", "t1post"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "fla", "t2f", "t2flair"),
}
"""Accepted names, compared without regard to case."""

_BY_ALIAS = {alias: sequence for sequence, aliases in ALIASES.items() for alias in aliases}


def sequence_named(name: str) -> SequenceName | None:
    """The sequence that a file or node name speaks of, or None.

    The last word that is an alias decides, as in ``BraTS20_001_t1ce.nii.gz`` or ``BraTS-GLI-00001-000-t2f``.
    """
    for word in reversed(re.split(r"[^a-z0-9]+", name.lower())):
        if word in _BY_ALIAS:
            return _BY_ALIAS[word]
    return None
