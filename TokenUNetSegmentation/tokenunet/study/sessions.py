"""Sessions among the DICOM series of a folder, so that scans of different visits are not mixed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SequenceName
from tokenunet.study.dicom import DicomSeries
from tokenunet.study.identify.tags_and_names import evidence_of

_LONGEST_PAUSE = timedelta(hours=3)
"""Longest time between two acquisitions of one session."""


def sessions_of(series: Sequence[DicomSeries]) -> Iterator[tuple[DicomSeries, ...]]:
    """Yield sets of series in which to search for a patient's scans, the best first.

    These are the studies, the newest first, each preceded by its series with a common frame of reference, between which
    the patient was not moved. As a visit may be filed as several studies, those of one day or night are joined at the
    end.

    Args:
        series: Series of one patient that may be scans.
    """
    studies = _by(series, study_key)
    for _, study in sorted(studies.items(), reverse=True):
        frames = _by(study, lambda volume: volume.tags.frame_uid)
        if len(frames) > 1 and "" not in frames:
            yield from sorted(map(tuple, frames.values()), key=_last_acquired, reverse=True)
        yield tuple(study)
    for visit in reversed(_joined(studies)):
        if len(_by(visit, study_key)) > 1:
            yield tuple(visit)


def _joined(studies: Mapping[str, list[DicomSeries]]) -> list[list[DicomSeries]]:
    """Return the series of each visit in the order of time: studies of one day, or without a pause over midnight."""
    visits: list[list[DicomSeries]] = []
    for _, study in sorted(studies.items()):
        if visits and (_day(visits[-1][-1]) == _day(study[0]) or _follows(visits[-1], study)):
            visits[-1] += study
        else:
            visits.append(list(study))
    return visits


def _follows(before: Sequence[DicomSeries], study: Sequence[DicomSeries]) -> bool:
    """Return whether a study began within the longest pause after others; False if a time is missing."""
    ended = [time for volume in before if (time := _time(volume)) is not None]
    began = [time for volume in study if (time := _time(volume)) is not None]
    return bool(ended and began) and min(began) - max(ended) <= _LONGEST_PAUSE


def is_part_of_study(session: Sequence[DicomSeries], series: Sequence[DicomSeries]) -> bool:
    """Return whether a session lacks series of its study.

    Args:
        session: Series that are considered together.
        series: All series of the patient.
    """
    studies = {study_key(volume) for volume in session}
    return len(studies) == 1 and len(session) < sum(study_key(volume) in studies for volume in series)


def session_findings(
    folder: object, chosen: Mapping[SequenceName, DicomSeries], series: Sequence[DicomSeries]
) -> list[Finding]:
    """Return warnings about the sessions of the chosen scans.

    Args:
        folder: Folder of all series, for messages.
        chosen: Series by sequence.
        series: All series of the patient that may be scans.
    """
    all_studies, studies = _by(series, study_key), _by(list(chosen.values()), study_key)
    if len(studies) > 1:
        parts = [f"{_named_study(v[0], studies)} ({', '.join(x.name for x in v)})" for v in studies.values()]
        text = f"The scans are of several studies: {' and '.join(parts)}. Check that they are of one session."
        return [Finding("mixed_studies", text)]
    findings = []
    if len(all_studies) > 1:
        names = ", ".join(sorted(_named_study(volumes[0], all_studies) for volumes in all_studies.values()))
        taken = _named_study(next(iter(chosen.values())), all_studies)
        findings.append(Finding("several_studies", f"{folder} holds studies of {names}; that of {taken} was taken."))
    visits = _visits(chosen)
    if len(visits) > 1:
        parts = [f"{', '.join(visit)} ({_shown_time(chosen[visit[0]])})" for visit in visits]
        text = f"The scans were acquired hours apart: {' and '.join(parts)}. Check that they are of one session."
        return [*findings, Finding("mixed_visits", text)]
    return findings + _frame_findings(chosen, series)


def other_studies(series: Sequence[DicomSeries]) -> list[str]:
    """Return the sentence that names the series of each study but the newest; empty if there is one study.

    Args:
        series: All series of the patient that may be scans.
    """
    studies = _by(series, study_key)
    older = sorted(studies.items(), reverse=True)[1:]
    parts = [f"{', '.join(v.name for v in study)} of {_named_study(study[0], studies)}" for _, study in older]
    return [f"Scans of several studies are not mixed; there is {' and '.join(parts)}, too."] if parts else []


def study_key(series: DicomSeries) -> str:
    """Return a key of a series' study, which sorts in the order of time.

    Args:
        series: Series of the study.
    """
    tags = series.tags
    return " ".join((tags.study_date, tags.study_time, tags.study_uid))


def _frame_findings(chosen: Mapping[SequenceName, DicomSeries], series: Sequence[DicomSeries]) -> list[Finding]:
    """Return warnings about scans between which the patient was moved, by DICOM's frame of reference."""
    frames: dict[str, list[SequenceName]] = defaultdict(list)
    for sequence, volume in chosen.items():
        frames[volume.tags.frame_uid].append(sequence)
    if "" in frames:
        return []
    if len(frames) == 1:
        study = study_key(next(iter(chosen.values())))
        others = [v for v in series if study_key(v) == study and v.tags.frame_uid not in frames and _may_be_chosen(v)]
        if not others:
            return []
        names = ", ".join(volume.name for volume in others)
        text = f"{names} were not considered: the patient was moved between them and the scans that were taken."
        return [Finding("several_sessions", text)]
    if len(frames) == len(chosen):  # rewritten files often get frames of reference of their own
        return []
    first, *rest = sorted(frames.values(), key=len, reverse=True)
    moved = ", ".join(sequence for frame in rest for sequence in frame)
    text = (
        f"The patient was moved between {', '.join(first)} and {moved} (another frame of reference). Check that they "
        "are of one session."
    )
    return [Finding("moved_patient", text)]


def _may_be_chosen(series: DicomSeries) -> bool:
    """Return whether a series may be one of the four sequences."""
    evidence = evidence_of(series.name, series.tags)
    return evidence.weighting is not None and not evidence.excluded


def _visits(chosen: Mapping[SequenceName, DicomSeries]) -> list[list[SequenceName]]:
    """Return the sequences of each visit; a single visit if a time is missing."""
    times = {sequence: _time(volume) for sequence, volume in chosen.items()}
    known = sorted((time, sequence) for sequence, time in times.items() if time is not None)
    if len(known) < len(chosen):
        return [list(chosen)]
    visits = [[known[0][1]]]
    for (before, _), (time, sequence) in pairwise(known):
        if time - before > _LONGEST_PAUSE:
            visits.append([])
        visits[-1].append(sequence)
    return visits


def _time(series: DicomSeries) -> datetime | None:
    """Return the time of acquisition; None if it is missing."""
    try:
        return datetime.strptime(series.tags.acquired[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _shown_time(series: DicomSeries) -> str:
    return f"{_time(series):%Y-%m-%d %H:%M}"


def _named_study(series: DicomSeries, studies: Mapping[str, object]) -> str:
    """Return a study's date, with time and UID if another study has the same date."""
    tags = series.tags
    same_day = sum(name.split(" ")[0] == tags.study_date for name in studies) > 1
    if tags.study_date and not same_day:
        return tags.study_date
    return " ".join(part for part in (tags.study_date, tags.study_time[:6], tags.study_uid) if part)


def _last_acquired(series: Sequence[DicomSeries]) -> str:
    return max(volume.tags.acquired for volume in series)


def _by(series: Sequence[DicomSeries], key: Callable[[DicomSeries], str]) -> dict[str, list[DicomSeries]]:
    groups: dict[str, list[DicomSeries]] = defaultdict(list)
    for volume in series:
        groups[key(volume)].append(volume)
    return groups


def _day(series: DicomSeries) -> str:
    return series.tags.study_date or series.tags.study_uid
