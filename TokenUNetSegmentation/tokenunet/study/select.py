"""Selection of a patient's scans among the image files or DICOM series of a folder."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenunet.core.errors import MissingSequenceError, UnusableImageError
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.study.dicom import DicomSeries, read_series
from tokenunet.study.found_study import FoundScan, FoundStudy, series_findings
from tokenunet.study.identify.choose import Candidate, Choice, recognize_sequences
from tokenunet.study.image_files import read_image
from tokenunet.study.sessions import is_part_of_study, other_studies, session_findings, sessions_of
from tokenunet.study.versions import choose_by_name, telling_name


def select_files(
    folder: Path,
    files: list[Path],
    chosen: dict[SequenceName, FoundScan],
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    """Select scans among image files, by their names and image features.

    Args:
        folder: Folder of the patient.
        files: Image files in it or below.
        chosen: Scans by sequence that were given or found before.
        wanted: Sequences to choose, of `SEQUENCES`.
        optional: Sets of wanted sequences that may be missing together.

    Raises:
        MissingSequenceError: If a sequence is not found.
        AmbiguousSequenceError: If two files are named after the same sequence.
    """
    others = [file for file in files if file not in [found.place for found in chosen.values()]]
    by_name = choose_by_name(folder, others, [s for s in wanted if s not in chosen])
    others = [file for file in others if file not in by_name.ignored]
    candidates = [replace(_candidate_of(file), name=telling_name(folder, file)) for file in others]
    found = _recognized(folder, others, candidates, chosen, wanted, optional)
    finding = by_name.finding(folder)
    return replace(found, findings=[*found.findings, finding]) if finding else found


def select_series(
    folder: Path,
    series: list[DicomSeries],
    chosen: dict[SequenceName, FoundScan],
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    """Select scans among DICOM series, in the best session that holds all of them.

    Args:
        folder: Folder of the patient, for messages.
        series: Series in it and below.
        chosen: Scans by sequence that were given or found before.
        wanted: Sequences to choose, of `SEQUENCES`.
        optional: Sets of wanted sequences that may be missing together.

    Raises:
        MissingSequenceError: If no session holds all sequences.
        UnusableImageError: If a series that is needed is not a volume.
    """
    excluded = {s.name: s.excluded for s in series if s.excluded}
    reasons = "; ".join(f"{name}: {reason}" for name, reason in excluded.items())
    given_files = {f for found in chosen.values() if isinstance(found.place, DicomSeries) for f in found.place.files}
    usable = [volume for volume in series if not volume.excluded and not given_files.intersection(volume.files)]
    first_error: MissingSequenceError | UnusableImageError | None = None
    for session in sessions_of(usable):
        is_part = is_part_of_study(session, usable)
        try:
            candidates = [_candidate_of(volume) for volume in session]
            found = _recognized(folder, session, candidates, chosen, wanted, optional)
        except (MissingSequenceError, UnusableImageError) as error:
            if not is_part:
                first_error = first_error or error
            continue
        if is_part and any(finding.code == "uncertain_sequence" for finding in found.findings):
            continue
        return FoundStudy(
            found.scans, found.findings + session_findings(folder, found.series, usable), excluded | found.excluded
        )
    if first_error is None:
        raise MissingSequenceError(
            f"No DICOM series in {folder} can be a scan that the model takes. {reasons}".rstrip()
        )
    text = " ".join((str(first_error), *other_studies(usable)))
    text = f"{text} Excluded: {reasons}" if reasons else text
    raise type(first_error)(text, first_error.hint) from first_error


def usable_series(series: DicomSeries) -> DicomSeries:
    """Return a series after checking that it is a volume.

    Args:
        series: Series that was chosen.

    Raises:
        UnusableImageError: If the series is not a volume.
    """
    if series.grid is None:
        raise UnusableImageError(
            f"Series {series.name} cannot be used. {series.excluded or series.problem}",
            "Export the series again, or choose another.",
        )
    return series


def _candidate_of(place: Path | DicomSeries) -> Candidate:
    """Return the candidate for a file or series, which reads its image only if needed."""
    if isinstance(place, Path):
        return Candidate(place.name, partial(read_image, place))
    return Candidate(place.name, lambda: read_series(place).image, place.tags, place.grid, place.problem)


def _recognized(
    folder: Path,
    places: Sequence[Path | DicomSeries],
    candidates: Sequence[Candidate],
    chosen: dict[SequenceName, FoundScan],
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    """Choose among candidates, which have the same indices as their places."""
    known = {s: found for s, found in chosen.items() if s in SEQUENCES}
    given = {s: len(candidates) + i for i, s in enumerate(known)}
    given_candidates = [_candidate_of(found.place) for found in known.values()]
    try:
        recognition = recognize_sequences([*candidates, *given_candidates], given, wanted, optional)
    except MissingSequenceError as error:
        raise type(error)(f"{folder}: {error}", error.hint) from error

    def found(sequence: SequenceName, choice: Choice) -> FoundScan:
        if sequence in chosen:
            return chosen[sequence]
        place = places[choice.index]
        return FoundScan(place if isinstance(place, Path) else usable_series(place), choice.confidence, choice.reason)

    scans = {s: found(s, choice) for s, choice in recognition.choices.items()}
    scans |= {s: scan for s, scan in chosen.items() if s not in SEQUENCES}
    return FoundStudy(scans, series_findings(scans) + recognition.findings, recognition.excluded)
