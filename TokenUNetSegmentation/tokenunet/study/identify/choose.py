"""Choice of the scan for each of the four sequences: by DICOM tags, then names, and finally image features."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, SequenceSetError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.image_features import sequences_by_features
from tokenunet.study.identify.tags_and_names import Evidence, evidence_of, sequence_in

SURE = 0.7
"""Confidence below which the user is asked to look."""
_SAMPLING_MM = (4.0, 4.0, 4.0)
"""Spacing that image features are computed at."""
_FEATURE_CONFIDENCE: dict[SequenceName, float] = {"T1": 0.4, "T1ce": 0.4, "T2": 0.6, "FLAIR": 0.6}
"""Confidence in image features alone: T1 and T1ce differ in a few voxels only, see `sequences_by_features`."""
_FEWEST_VALUES = 20
"""Number of different values in a scan; a binary mask or label map has fewer."""
_REFORMAT = "a reformat of another series (MPR)"
_SMALLEST_HEAD_MM = 100.0
"""Shortest side of a field of view that shows the whole brain."""


@dataclass(frozen=True)
class Candidate:
    """Scan that may be one of the four sequences.

    Attributes:
        name: Name of the file or series.
        read: Function that reads the image; called only if tags and names do not tell the sequence.
        tags: DICOM tags; None if there are none, so that the name must tell.
        grid: Grid of the scan; None if it is unknown before reading.
        problem: Reason why the scan cannot be read, which makes it the last choice; empty if it can.
    """

    name: str
    read: Callable[[], sitk.Image]
    tags: DicomTags | None = None
    grid: Grid | None = None
    problem: str = ""


@dataclass(frozen=True)
class Choice:
    """Candidate that was chosen for a sequence.

    Attributes:
        index: Index of the candidate.
        confidence: Confidence that it is the sequence, 0 to 1.
        reason: Readable reason, to follow "because".
        ignored: Indices of other candidates that fit the sequence.
    """

    index: int
    confidence: float
    reason: str
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True)
class Recognition:
    """Scans chosen for the sequences.

    Attributes:
        choices: Choice by sequence.
        findings: Warnings about uncertain choices.
        excluded: Reason by name, for each candidate of another kind, such as a subtraction.
    """

    choices: dict[SequenceName, Choice]
    findings: list[Finding] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)


def recognize_sequences(
    candidates: Sequence[Candidate],
    given: Mapping[SequenceName, int] | None = None,
    wanted: Sequence[SequenceName] = SEQUENCES,
    optional: Collection[frozenset[SequenceName]] = (),
) -> Recognition:
    """Choose a candidate for each of the wanted sequences.

    Args:
        candidates: Scans in any order, also of sequences that are not wanted.
        given: Index by sequence of the candidates that the user has chosen, which are kept.
        wanted: Sequences to choose, of `SEQUENCES`.
        optional: Sets of wanted sequences that may be missing together.

    Raises:
        MissingSequenceError: If a sequence is not found; the message lists how each candidate was classified.
        AmbiguousSequenceError: If two candidates without tags are named after the same wanted sequence.
    """
    given = given or {}
    choices = {s: Choice(index, 1.0, "it was given as such") for s, index in given.items()}
    evidence = {i: evidence_of(c.name, c.tags) for i, c in enumerate(candidates) if i not in given.values()}
    originals = {i: e for i, e in evidence.items() if not e.reformat}
    groups: dict[SequenceName, dict[int, Evidence]] = {
        **_by_contrast_agent(candidates, {i: e for i, e in originals.items() if e.weighting == "T1"}, given),
        "T2": {i: e for i, e in originals.items() if e.weighting == "T2"},
        "FLAIR": {i: e for i, e in originals.items() if e.weighting == "FLAIR"},
    }
    for sequence, group in groups.items():
        group |= {} if group else _reformats_of(sequence, evidence)
        if sequence not in choices and group:
            choices[sequence] = _best(candidates, sequence, group, sequence in wanted)
    grouped = {i for group in groups.values() for i in group}
    left = [i for i, e in originals.items() if i not in grouped and not e.excluded]
    choices |= _by_image_features(candidates, choices, left)
    missing = [s for s in wanted if s not in choices]
    if missing and set(missing) not in optional:
        raise _missing(candidates, evidence, choices, missing)
    ordered = {s: choices[s] for s in wanted if s in choices}
    findings = _findings(candidates, ordered)
    if missing and (unknown := [candidates[i].name for i in left if i not in [c.index for c in choices.values()]]):
        text = f"{' and '.join(unknown)} could not be recognized; if one is {' or '.join(missing)}, name it."
        findings.append(Finding("not_recognized", text))
    excluded = {candidates[i].name: f"It is {e.reason}." for i, e in evidence.items() if e.excluded}
    excluded |= {candidates[i].name: f"It is {_REFORMAT}." for i in evidence if i not in originals and i not in grouped}
    return Recognition(ordered, findings, excluded)


def _by_contrast_agent(
    candidates: Sequence[Candidate], scans: dict[int, Evidence], given: Mapping[SequenceName, int]
) -> dict[SequenceName, dict[int, Evidence]]:
    """Group T1-weighted scans by contrast agent, known from tags and words or inferred from their order in time.

    Args:
        candidates: All scans.
        scans: Evidence by index of the T1-weighted candidates.
        given: Index by sequence of the candidates that the user has chosen.

    Returns:
        Evidence by index for T1 and for T1ce; scans that stay unknown are in neither.
    """
    taken_at = _order_of(candidates, [*scans, *given.values()])
    known = {i: e for i, e in scans.items() if e.agent is not None}
    if "T1" not in given and len(known) == len(scans) > 1 and all(e.agent for e in known.values()):
        # If all series have the agent's tag, it was filled in for the whole study and does not distinguish them.
        known = {i: e for i, e in known.items() if e.agent_in_words}
    groups: dict[SequenceName, dict[int, Evidence]] = {
        "T1": {i: e for i, e in known.items() if not e.agent},
        "T1ce": {i: e for i, e in known.items() if e.agent},
    }
    unknown = sorted((i for i in scans if i not in known), key=taken_at)
    after = [taken_at(i) for i in (*groups["T1ce"], *([given["T1ce"]] if "T1ce" in given else []))]
    times = {taken_at(i) for i in (*unknown, *groups["T1"])}
    if after:
        first_agent = min(after)
        for index in unknown:
            later = bool(first_agent) and taken_at(index) > first_agent
            why = "it was acquired after contrast agent was given" if later else "nothing speaks of contrast agent"
            groups["T1ce" if later else "T1"][index] = _less_sure(scans[index], 0.65 if later else 0.85, why)
    elif "" not in times and len(times) > 1 and unknown:
        latest = unknown[-1] if taken_at(unknown[-1]) == max(times) else None
        for index in unknown:
            if index == latest:
                why = "it was acquired later than the other T1"
                groups["T1ce"][index] = _less_sure(scans[index], 0.65, why)
            else:
                why = "it was acquired earlier than another T1"
                groups["T1"][index] = _less_sure(scans[index], 0.65, why)
    elif len(unknown) == 1 and "T1" not in given and not groups["T1"]:
        groups["T1"][unknown[0]] = _less_sure(scans[unknown[0]], 0.8, "nothing speaks of contrast agent")
    return groups


def _order_of(candidates: Sequence[Candidate], indices: Sequence[int]) -> Callable[[int], str]:
    """Return a function of a candidate's index that sorts in the order of time; "" if the order is unknown.

    Series without times of acquisition, or with a common one, are in the order of their numbers.
    """
    tags = {index: candidates[index].tags or DicomTags() for index in indices}
    times = {index: tag.acquired for index, tag in tags.items()}
    numbers = {index: "" if tag.series_number is None else f"{tag.series_number:09}" for index, tag in tags.items()}
    by_number = "" in times.values() or len(set(times.values())) == 1
    return (numbers if by_number else times).__getitem__


def _reformats_of(sequence: SequenceName, evidence: dict[int, Evidence]) -> dict[int, Evidence]:
    """Return the reformats that are surely of a sequence, which are used if there is no original."""
    told = {i: e for i, e in evidence.items() if e.reformat and (e.weighting != "T1" or e.agent_in_words)}
    why = f"it is {_REFORMAT}, of which the original is missing"
    return {i: _less_sure(e, 0.65, why) for i, e in told.items() if sequence_in(e) == sequence}


def _less_sure(evidence: Evidence, factor: float, why: str) -> Evidence:
    """Return evidence with a lower confidence and an additional reason."""
    return replace(evidence, confidence=evidence.confidence * factor, reason=f"{evidence.reason}, and {why}")


def _best(candidates: Sequence[Candidate], sequence: SequenceName, group: dict[int, Evidence], wanted: bool) -> Choice:
    """Return the best candidate of a group; raise AmbiguousSequenceError if several names claim a wanted sequence."""
    untagged = [candidates[i].name for i in group if candidates[i].tags is None]
    if len(untagged) > 1 and wanted:
        raise AmbiguousSequenceError(
            f"{' and '.join(untagged)} both look like {sequence}.", f"Name the right one with --{sequence.lower()}."
        )
    first, *others = sorted(group, key=lambda i: _rank(candidates[i], sequence, group[i].confidence), reverse=True)
    return Choice(first, group[first].confidence, group[first].reason, tuple(others))


def _rank(candidate: Candidate, sequence: SequenceName, confidence: float) -> tuple[float | str, ...]:
    """Return the criteria of a candidate, of which larger is better.

    Readable, whole, certain, original, 3-D and fine scans come first, and of those for T1ce the latest.
    """
    tags, grid = candidate.tags or DicomTags(), candidate.grid
    whole = grid is None or _reach(grid) >= _SMALLEST_HEAD_MM
    voxel = 0.0 if grid is None else round(1000 * grid.voxel_ml, 1)
    return (
        not candidate.problem,
        whole,
        confidence >= SURE,
        confidence >= 0.5,
        not tags.derived,
        tags.acquisition_type == "3D",
        -voxel,
        0 if grid is None else grid.size[2],
        tags.acquired if sequence == "T1ce" else "",
        (tags.temporal_position or 0.0) if sequence == "T1ce" else 0.0,
        confidence,
    )


def _reach(grid: Grid) -> float:
    """Return the shortest side of the field of view, in mm."""
    return min(n * mm for n, mm in zip(grid.size, grid.spacing, strict=True))


def _by_image_features(
    candidates: Sequence[Candidate], choices: dict[SequenceName, Choice], left: list[int]
) -> dict[SequenceName, Choice]:
    """Choose among the remaining candidates by image features.

    The features compare all four sequences, so that there must be exactly one candidate for each that is missing.

    Args:
        candidates: All scans.
        choices: Choices so far.
        left: Indices of the remaining candidates.

    Returns:
        Choice by missing sequence; empty if the features do not tell.
    """
    missing = [s for s in SEQUENCES if s not in choices]
    if not missing or len(left) != len(missing) or any(candidates[i].problem for i in left):
        return {}
    indices = [choice.index for choice in choices.values()] + left
    images = [candidates[i].read() for i in indices]
    grid = Grid.of(images[0]).with_spacing(_SAMPLING_MM)
    coarse = [sitk.GetArrayFromImage(grid.resample(image, sitk.sitkNearestNeighbor)) for image in images]
    if any(len(np.unique(array)) < _FEWEST_VALUES for array in coarse):
        return {}
    sequences = sequences_by_features(coarse, order_known=False)
    if sequences is None:
        return {}
    seen = dict(zip(indices, sequences, strict=True))
    by_features = {
        seen[i]: Choice(i, _FEATURE_CONFIDENCE[seen[i]], f"it looks like {seen[i]} next to the others") for i in left
    }
    if set(by_features) == set(missing):
        return by_features
    if len(left) == 1:
        reason = f"it is the only one left, although it looks like {seen[left[0]]}"
        return {missing[0]: Choice(left[0], 0.4, reason)}
    return {}


def _missing(
    candidates: Sequence[Candidate],
    evidence: dict[int, Evidence],
    choices: dict[SequenceName, Choice],
    missing: list[SequenceName],
) -> MissingSequenceError:
    """Return the error about missing sequences, which lists how each candidate was classified."""
    chosen = {choice.index: sequence for sequence, choice in choices.items()}

    def taken_for(index: int) -> str:
        if index in chosen:
            return chosen[index]
        seen = evidence[index]
        if seen.reformat:
            return _REFORMAT
        what = seen.reason if seen.excluded else seen.weighting or "not recognized"
        return f"{what}, but unusable: {candidates[index].problem}" if candidates[index].problem else what

    described = ", ".join(f"{c.name} ({taken_for(i)})" for i, c in enumerate(candidates))
    kind = SequenceSetError if choices else MissingSequenceError
    return kind(
        f"No {' or '.join(missing)} was found" + (f" among {described}." if described else ": there are no scans."),
        "Name the right files with " + ", ".join(f"--{s.lower()}" for s in missing) + ".",
    )


def _findings(candidates: Sequence[Candidate], choices: dict[SequenceName, Choice]) -> list[Finding]:
    """Return warnings about choices that are uncertain or have alternatives."""
    findings: list[Finding] = []
    for sequence, choice in choices.items():
        name = candidates[choice.index].name
        if choice.confidence < SURE:
            text = f"{name} was taken for {sequence}, because {choice.reason}. That is not certain: check it."
            findings.append(Finding("uncertain_sequence", text))
        if choice.ignored:
            others = ", ".join(candidates[i].name for i in choice.ignored)
            findings.append(Finding("passed_over", f"{name} was chosen as {sequence}; {others} would fit too."))
    return findings
