"""MR sequences and their names in files and scenes."""

import re
from itertools import pairwise

from tokenunet.core.contrast_words import AGENT, WITHOUT, latin

SequenceName = str
"""One of `SEQUENCES`, or another channel that a model's manifest names."""

SEQUENCES: tuple[SequenceName, ...] = ("T1", "T1ce", "T2", "FLAIR")
"""The sequences of BraTS, which are recognized by tags, names and images."""

ALIASES: dict[SequenceName, tuple[str, ...]] = {
    "T1": ("t1", "t1n", "t1w"),
    "T1ce": ("t1ce", "t1c", "t1gd", "t1wce", "t1post", "t1gad", "t1gado", "t1km", "ct1", "cet1", "gdt1"),
    "T2": ("t2", "t2w"),
    "FLAIR": ("flair", "fla", "t2f", "t2flair"),
}
"""Accepted names, compared without regard to case."""

_BY_ALIAS: dict[str, SequenceName] = {alias: sequence for sequence, aliases in ALIASES.items() for alias in aliases}
_CONTRAST_AGENT = re.compile(AGENT)
_CONTRAST_AGENT_AFTER_T1 = {"c", "post"}
"""Before "T1", these may be a patient's initial, or refer to a session after surgery."""
_WITHOUT = re.compile(rf"{WITHOUT}|o")
"""Words that negate a following word for the agent; ``o`` is the rest of "w/o"."""
_TREATMENT = re.compile(
    r"(op|operat\w*|surg\w*|resect\w*|crani\w*|biops\w*|rt|xrt|crt|rad|radi\w*|irrad\w*|chemo\w*|tmz|temozolomide"
    r"|bev\w*|tx|t?rx|treat\w*|therap\w*|gamma\w*|gk|srs|sbrt|lesion\w*|fossa|ictal|mortem|natal|covid|baseline"
    r"|day\w*|week\w*|month\w*|year\w*|[dwmy]\d+)"
)
"""Words after which "post" and "pre" refer to a treatment or time rather than to contrast agent."""
_AFTER_C = re.compile(
    r"|\d\w*|[23]d|nii|gz|nrrd|nhdr|mha|mhd|hdr|img|iso\w*|mpr\w*|mprage|space|vibe|tfe|tse|fse|se|gre|fs|tra\w*|ax\w*"
    r"|sag\w*|cor\w*|ref\w*|rfmt|reg\w*|coreg\w*|to|in|on|bias\w*|n4\w*|bfc|brain\w*|bet|ss|strip\w*|skull\w*|res\w*|norm\w*"
    r"|raw|orig\w*|image|scan|warped|aligned|r[lp]\w*|final|defaced|masked|pp|proc\w*|t1\w*|path|file"
)
"""Words that may follow a "c" for contrast agent; before any other word it is a person's initial."""
_DARK_FLUID = re.compile(r"\b(dark ?fluid|da fl|fluid ?att\w*|tirm)\b")
"""Words that make a T2 a FLAIR, in Siemens' names."""
_T1_FLAIR = re.compile(r"\bt1w? flair\b(?!.*\b(flair|t2w?)\b)")
"""GE's name of a T1 with inversion."""
_NO_AGENT = re.compile(r"(?<![a-z0-9])(c|ce|gd|km)-(?![a-z0-9])")
"""Agent with a minus behind it."""
_TARGET = {
    "to",
    "in",
    "on",
    "onto",
    "into",
    "2",
    "reg",
    "regto",
    "registered",
    "coreg",
    "coregistered",
    "aligned",
    "warped",
}
"""Words of registered scans; the sequence that follows is the registration target."""
_GLUED = re.compile(
    r"(?<![a-z0-9])(?:[23]d(?=t[12]|flair)|(?:[23]d)?(?:t[12]w?|flair)(?=(?:[23]d|mprage|space|vibe|tse|tfe|fspgr)(?![a-z])))"
)
"""Beginning of words such as ``3dt1`` and ``t1mprage``, which are two."""
_BIDS_SPACE = re.compile(r"(?<![a-z0-9])space-[a-z0-9]+")


def sequence_named(name: str) -> SequenceName | None:
    """Return the sequence that a file or node name refers to, or None.

    Understands ``BraTS20_001_t1ce.nii.gz``, ``BraTS-GLI-00001-000-t2f`` and looser names like ``T1 post Gd``. For
    registered scans such as ``T2_to_T1ce``, it is the sequence of the scan, not of the target.

    Example:
        >>> sequence_named("flair_in_t1.nii.gz")
        'FLAIR'
    """
    words = words_of_scan(name)
    found = [_BY_ALIAS[word] for word in words if word in _BY_ALIAS]
    if not found:
        return None
    if _T1_FLAIR.search(" ".join(words)):
        found = [sequence for sequence in found if sequence != "FLAIR"]
    if "FLAIR" in found or (set(found) == {"T2"} and _DARK_FLUID.search(" ".join(words))):
        return "FLAIR"
    if "T1" in found and _contrast_agent_in(words):
        return "T1ce"
    return found[-1]


def words_of_scan(name: str) -> list[str]:
    """Return the words of a name in lower case, without the sequence that the scan was registered to."""
    return _without_target(_words(_NO_AGENT.sub(" native ", _BIDS_SPACE.sub("", latin(name)))))


def other_words(name: str) -> frozenset[str]:
    """Return the words of a name besides its sequence, such as the patient, or ``bias`` for bias-corrected scans."""
    words = _without_target(_words(_BIDS_SPACE.sub("space", latin(name))))
    agent = {word for word in words if _CONTRAST_AGENT.fullmatch(word)}
    return frozenset(set(words) - _BY_ALIAS.keys() - agent - _CONTRAST_AGENT_AFTER_T1)


def _without_target(words: list[str]) -> list[str]:
    """Remove the sequence that the scan was registered to, as in ``t2_to_t1ce`` or ``t2_reg_t1``."""
    first = next((place for place, word in enumerate(words) if word in _BY_ALIAS), len(words))
    for place in range(first + 1, len(words)):
        if words[place] in _TARGET:
            target = next((p for p in range(place + 1, min(place + 4, len(words))) if words[p] in _BY_ALIAS), None)
            if target is not None and all(word in _TARGET or word == "the" for word in words[place:target]):
                end = target + 1
                while end < len(words) and (
                    words[end] in _CONTRAST_AGENT_AFTER_T1 or _CONTRAST_AGENT.fullmatch(words[end])
                ):
                    end += 1
                return _without_target(words[: place + 1] + words[end:])
    return words


def _contrast_agent_in(words: list[str]) -> bool:
    """Return whether the words of a T1 scan indicate contrast agent, and not "without contrast"."""
    first_t1 = next(place for place, word in enumerate(words) if _BY_ALIAS.get(word) == "T1")
    for place, (before, word) in enumerate(pairwise(["", *words])):
        if _WITHOUT.fullmatch(before):
            continue
        after = words[place + 1] if place + 1 < len(words) else ""
        if _CONTRAST_AGENT.fullmatch(word):
            return True
        if word == "post" and place > first_t1 and not _TREATMENT.fullmatch(after):
            return True
        if word == "c" and before != "s" and place > first_t1 and _AFTER_C.fullmatch(after):
            return True
    return False


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", _GLUED.sub(r"\g<0> ", name.lower()))
