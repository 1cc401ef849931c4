"""The four MR sequences and how people name them."""

import re
from itertools import pairwise
from typing import Literal, get_args

SequenceName = Literal["T1", "T1ce", "T2", "FLAIR"]

SEQUENCES: tuple[SequenceName, ...] = get_args(SequenceName)

ALIASES: dict[SequenceName, tuple[str, ...]] = {
    "T1": ("t1", "t1n", "t1w"),
    "T1ce": ("t1ce", "t1c", "t1gd", "t1wce", "t1post", "t1gad", "t1gado", "t1km", "ct1"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "fla", "t2f", "t2flair"),
}
"""Accepted names, compared without regard to case."""

_BY_ALIAS = {alias: sequence for sequence, aliases in ALIASES.items() for alias in aliases}
_CONTRAST_AGENT = {"ce", "contrast", "gad", "gado", "gadolinium", "gd", "km", "kontrast", "postcontrast"}
_CONTRAST_AGENT_AFTER_T1 = {"c", "post"}
"""Elsewhere they may be a patient's initial, or of a session after surgery."""
_WITHOUT = {"before", "no", "non", "o", "ohne", "pre", "sans", "sin", "vor", "without", "wo"}
"""Before a word for the agent; ``o`` is what is left of "w/o"."""


def sequence_named(name: str) -> SequenceName | None:
    """The sequence that a file or node name speaks of, or None.

    Understands ``BraTS20_001_t1ce.nii.gz``, ``BraTS-GLI-00001-000-t2f`` and looser names like ``T1 post Gd``.
    """
    words = _words(name)
    found = [_BY_ALIAS[word] for word in words if word in _BY_ALIAS]
    if not found:
        return None
    if "FLAIR" in found:  # "T2 FLAIR" is a FLAIR
        return "FLAIR"
    if "T1" in found and _contrast_agent_in(words):
        return "T1ce"
    return found[-1]


def other_words(name: str) -> frozenset[str]:
    """What a name says beside its sequence, such as the patient, or ``bias`` for scans whose bias was corrected."""
    return frozenset(set(_words(name)) - _BY_ALIAS.keys() - _CONTRAST_AGENT - _CONTRAST_AGENT_AFTER_T1)


def _contrast_agent_in(words: list[str]) -> bool:
    """Whether words with a T1 among them say that agent was given, and not "without contrast"."""
    first_t1 = next(place for place, word in enumerate(words) if _BY_ALIAS.get(word) == "T1")
    return any(
        before not in _WITHOUT and (word in _CONTRAST_AGENT or (word in _CONTRAST_AGENT_AFTER_T1 and place > first_t1))
        for place, (before, word) in enumerate(pairwise(["", *words]))
    )


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())
