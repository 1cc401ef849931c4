"""Recognition of a sequence by DICOM tags and names, in the conventions of Siemens, GE, Philips and hospitals."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from tokenunet.core.sequences import SequenceName, sequence_named, words_of_scan
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.contrast_agent import agent_in, agent_of, plain_words
from tokenunet.study.identify.other_kinds import is_reformat, kind_of_file, kind_of_series

Weighting = Literal["T1", "T2", "FLAIR"]
_WEIGHTINGS: dict[SequenceName, Weighting] = {"T1": "T1", "T1ce": "T1", "T2": "T2", "FLAIR": "FLAIR"}

# Letters that may precede a weighting without a space, as in eT1W, 3DT1 or AXT2.
_BEFORE = r"(?<![a-z0-9])(?:\dd|e|s|wip|ax|axial|sag|cor|tra|se|tse|fse|gre|ir|fs|gd|ce|pre|post)*"
_T1 = re.compile(_BEFORE + r"t1(?!\d)|mp-?2?rage|\bbravo\b|spgr|\btfl ?3d|\bvibe\b|\be?thrive\b|\btfe\b")
_T2 = re.compile(_BEFORE + r"t2(?!\d)|\bfrfse\b")
_FLAIR = re.compile(r"flair|dark[ -]?fluid|\bda[ -]fl\b|fluid[ -]?att|\bfla\b")

_PROTON_DENSITY_TIMES = "proton density"
"""Kind that times suggest; an MPRAGE without an inversion time in its tags has the same times."""
_ENDING = re.compile(r"\.(nii|nii\.gz|nrrd|nhdr|mha|mhd|img|img\.gz|hdr)$", re.IGNORECASE)
_PART_OF_HEAD = re.compile(
    r"\b(orbit\w*|ia[cm]|pituit\w*|sella\w*|hypoph?ys\w*|khbw|trigem\w*|cpa|hippocamp\w*|felsenbein|neck|hals)\b"
)


@dataclass(frozen=True)
class Evidence:
    """Weighting and contrast agent of one scan, by its tags and name.

    Attributes:
        weighting: Weighting; None if unknown, or the scan is none of the four sequences.
        agent: Whether contrast agent was given before; None if unknown.
        agent_in_words: Whether a description or name says so, not the tag of the agent alone.
        confidence: Confidence in the weighting, 0 to 1.
        reason: Readable reason, to follow "because"; if `excluded`, the kind of the scan.
        excluded: Whether the scan is of another kind, such as a subtraction, and must never be chosen.
        reformat: Whether the scan was computed from another one in other slices (MPR).
    """

    weighting: Weighting | None
    agent: bool | None
    agent_in_words: bool
    confidence: float
    reason: str
    excluded: bool = False
    reformat: bool = False


def evidence_of(name: str, tags: DicomTags | None) -> Evidence:
    """Return the weighting and contrast agent of a scan, by its DICOM tags, or by its name if it has none.

    Args:
        name: Name of the file or series.
        tags: DICOM tags; None if there are none.

    Example:
        >>> evidence_of("sub-01_T1w_gd.nii.gz", None).agent
        True
    """
    if tags is None:
        return _from_file_name(name)
    texts = [plain_words(text) for text in (tags.description, tags.protocol) if text]
    reformat = is_reformat(texts[0] if texts else "", tags.image_type)
    kind = kind_of_series(tags, texts[0] if texts else "")
    if kind:
        return _excluded(kind)
    named = next((w for text in texts if (w := weighting_in(text)) is not None), None)
    measured, reason = _by_times(tags)
    if measured == "T2" and named == "FLAIR" and tags.inversion_time is None:
        measured, reason = None, ""  # some files lack the inversion time
    if measured is None and reason and not (named == "T1" and reason == _PROTON_DENSITY_TIMES):
        return _excluded(reason)
    agent, agent_reason, in_words = agent_of(tags, texts)
    if measured is None and named is None:
        reason = "neither its tags nor its description tell the sequence"
        return Evidence(None, agent, in_words, 0.0, reason, reformat=reformat)
    described = f"its description says “{tags.description or tags.protocol}”"
    unsure = measured == "T1" and _may_be_angiography(tags)
    if named is None:
        evidence = Evidence(measured, agent, in_words, 0.6 if unsure else 0.85, reason, reformat=reformat)
    elif measured is None:
        evidence = Evidence(named, agent, in_words, 0.85, described, reformat=reformat)
    elif measured == named:
        evidence = Evidence(named, agent, in_words, 0.97, f"{reason}, and {described}", reformat=reformat)
    else:
        evidence = Evidence(measured, agent, in_words, 0.5, f"{reason}, although {described}", reformat=reformat)
    if evidence.weighting == "T1" and agent_reason:
        evidence = replace(evidence, reason=f"{evidence.reason}, and {agent_reason}")
    if any(_PART_OF_HEAD.search(text) for text in texts):
        reason = f"{evidence.reason}; it may show a part of the head only"
        evidence = replace(evidence, confidence=evidence.confidence / 2, reason=reason)
    return evidence


def sequence_in(evidence: Evidence) -> SequenceName | None:
    """Return the sequence of a scan; a T1 counts as T1ce only if contrast agent is known.

    Args:
        evidence: Weighting and contrast agent of the scan.
    """
    return "T1ce" if evidence.weighting == "T1" and evidence.agent else evidence.weighting


def sequence_of_scan(name: str, tags: DicomTags | None) -> SequenceName | None:
    """Return the sequence of a scan by its tags and name; None if neither tells.

    Args:
        name: Name of the scan. One without the series' description was given by a person and has priority over tags.
        tags: DICOM tags; None if there are none.
    """
    if tags is None:
        return sequence_in_name(name)
    found = [sequence_in(evidence_of(name, tags)), sequence_in_name(name)]
    if tags.description not in name:
        found.reverse()
    return found[0] or found[1]


def sequence_in_name(name: str) -> SequenceName | None:
    """Return the sequence of a scan by its file's name; None if the name does not tell.

    Args:
        name: Name of the file.

    Example:
        >>> sequence_in_name("patient_t1_gd.nii.gz")
        'T1ce'
    """
    return sequence_in(_from_file_name(name))


def weighting_in(text: str) -> Weighting | None:
    """Return the weighting that a description names; None if it names none, or T1 and T2.

    Args:
        text: Description or name of a scan.
    """
    text = plain_words(text)
    t1, t2 = _T1.search(text) is not None, _T2.search(text) is not None
    if _FLAIR.search(text):
        return "T1" if t1 and not t2 else "FLAIR"  # GE's "T1 FLAIR" is a T1
    if re.search(r"\btirm\b", text) and not t1:
        return "FLAIR"
    if t1 != t2:
        return "T1" if t1 else "T2"
    return None


def _from_file_name(name: str) -> Evidence:
    """Return the weighting and contrast agent of an image file by its name."""
    text = plain_words(_ENDING.sub("", name))
    sequence = sequence_named(name)
    if kind := kind_of_file(text, _sequence_at(name, text)):
        return _excluded(kind)
    reason, reformat = f"its name is “{name}”", is_reformat(text)
    if sequence is not None:
        return Evidence(_WEIGHTINGS[sequence], sequence == "T1ce", True, 0.95, reason, reformat=reformat)
    weighting = weighting_in(text)
    if weighting is None:
        return Evidence(None, agent_in(text), True, 0.0, f"its name “{name}” does not tell the sequence")
    return Evidence(weighting, agent_in(text) or False, True, 0.85, reason, reformat=reformat)


def _sequence_at(name: str, text: str) -> int | None:
    """Return where the word that names the sequence begins in a file's name without its ending; None if none does."""
    named = [word for word in words_of_scan(name) if sequence_named(word) is not None]
    places = [match.start() for match in re.finditer(rf"(?<![a-z0-9]){named[-1]}(?![a-z0-9])", text)] if named else []
    return places[-1] if places else None


def _excluded(kind: str) -> Evidence:
    """Return the evidence of a scan of another kind."""
    return Evidence(None, None, False, 1.0, kind, excluded=True)


def _by_times(tags: DicomTags) -> tuple[Weighting | None, str]:
    """Return the weighting by textbook values of the times at 1.5 and 3 T, with the reason.

    Without a weighting, the reason is the other kind of scan, or empty if the times do not tell.
    """
    contrast: dict[str, Weighting] = {"T1": "T1", "T2": "T2", "FLUID_ATTENUATED": "FLAIR"}
    if tags.acquisition_contrast in contrast:
        return contrast[tags.acquisition_contrast], f"its tags say {tags.acquisition_contrast}"
    repetition, echo, inversion = tags.repetition_time, tags.echo_time, tags.inversion_time
    if repetition is None or echo is None:
        return None, ""
    reason = f"repetition time {repetition:g} ms" + (
        f" and echo time {echo:g} ms"
        if inversion is None
        else f", echo time {echo:g} ms and inversion time {inversion:g} ms"
    )
    gradient_echo = "GR" in tags.scanning_sequence and "SE" not in tags.scanning_sequence
    if inversion is not None:
        return _with_inversion(inversion, echo, reason)
    if gradient_echo:
        if echo >= 12:
            return None, "a T2* or susceptibility scan"
        steady_state = repetition < 10 and (tags.flip_angle or 0) > 30
        return ("T1", reason) if repetition < 500 and not steady_state else (None, "")
    if repetition < 1200 and echo < 30:
        return "T1", reason
    if repetition > 2000 and echo > 60:
        inverted = "IR" in tags.scanning_sequence and repetition > 4000
        return "FLAIR" if inverted else "T2", reason
    if repetition > 2000 and echo < 50 and "IR" not in tags.scanning_sequence:
        return None, _PROTON_DENSITY_TIMES
    return None, ""


def _with_inversion(inversion: float, echo: float, reason: str) -> tuple[Weighting | None, str]:
    """Return the weighting of an inversion recovery by its times in ms, with the reason; see `_by_times`."""
    if inversion > 1500 and echo > 60:
        return "FLAIR", reason
    if inversion > 1500 and echo < 10:
        return None, "the second inversion of an MP2RAGE"
    if 300 <= inversion <= 1500 and echo < 30:
        return "T1", reason
    if inversion < 300 and echo >= 10:
        return None, "a STIR"
    return None, ""


def _may_be_angiography(tags: DicomTags) -> bool:
    """Return whether a series may be time of flight, which has the times of a T1-weighted gradient echo."""
    gradient_echo = "GR" in tags.scanning_sequence and "IR" not in tags.scanning_sequence
    return gradient_echo and tags.inversion_time is None and (tags.repetition_time or 0) < 50
