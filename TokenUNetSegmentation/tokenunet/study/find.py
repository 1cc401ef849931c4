"""Scans of a patient in a folder, as DICOM series or as image files."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.errors import AmbiguousSequenceError, MissingSequenceError, UnusableImageError
from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SEQUENCES, SequenceName, other_words
from tokenunet.study.dicom import DicomSeries, check_one_person, files_below, find_series, read_series
from tokenunet.study.dicom_header import read_header
from tokenunet.study.identify.choose import Candidate, Choice, recognize_sequences
from tokenunet.study.identify.tags_and_names import sequence_in_name
from tokenunet.study.scans import Scan, Study, is_image_file, read_image, read_scan, study_of


@dataclass(frozen=True)
class FoundScan:
    """Where a scan is, and why it was taken for its sequence.

    Attributes:
        place: an image file, or a DICOM series, which keeps its files.
        confidence: 0 to 1; 1 where it was given.
        reason: for people, to follow "because".
    """

    place: Path | DicomSeries
    confidence: float
    reason: str

    def read(self) -> Scan:
        """Reads and checks it; see `read_study` and `read_series` for the errors."""
        return read_scan(self.place) if isinstance(self.place, Path) else read_series(self.place)


@dataclass(frozen=True)
class FoundStudy:
    """Scans by sequence, and what was noticed on the way.

    Attributes:
        set_aside: names of DICOM series that are no scans of a head, with the reason for each.
    """

    scans: dict[SequenceName, FoundScan]
    findings: list[Finding] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)

    @property
    def series(self) -> dict[SequenceName, DicomSeries]:
        """Of the sequences that are DICOM."""
        return _series_of(self.scans)

    def read(self, reference: SequenceName | None = None) -> Study:
        """Reads and checks them; see `FoundScan.read` and `study_of` for the errors and the reference."""
        return study_of({sequence: scan.read() for sequence, scan in self.scans.items()}, reference, ())


def find_study(
    folder: Path | None,
    given: Mapping[SequenceName, Path] | None = None,
    channels: ChannelSet = FOUR_SEQUENCES,
    left_out: Collection[SequenceName] = (),
) -> FoundStudy:
    """Find the scans of a patient that a model takes.

    Files whose names tell all sequences are taken as they are; or else DICOM series, from all folders below; or else
    image files, in the folder or, where it holds none itself, in folders below, by their names and by how they look.
    Channels other than `SEQUENCES` are found by the names of image files. What the model can do without may be missing.

    Args:
        folder: Folder of one patient; None if all scans are given.
        given: Files that were chosen for channels, which are not looked for: an image, or any file or the folder of a
            DICOM series.
        channels: Channels of the model.
        left_out: Channels that are not looked for because they are known to be missing.

    Raises:
        MissingSequenceError: If a sequence that the model needs is not found, or there is no such folder.
        AmbiguousSequenceError: where the names of two files claim the same sequence.
        MixedPatientsError: where DICOM files belong to several patients.
        UnreadableImageError: where a DICOM file is damaged.
        UnusableImageError: where a DICOM series that is needed lacks a slice or is otherwise no volume.
    """
    if folder is not None and not folder.is_dir():
        raise MissingSequenceError(f"There is no folder {folder}.", "Check the path.")
    chosen = {s: FoundScan(_place_of(p, folder), 1.0, "it was given as such") for s, p in (given or {}).items()}
    wanted = [name for name in channels.names if name not in left_out]
    missing = {name for name in wanted if name not in chosen}
    if channels.without(left_out) is None:
        raise _too_few(f"The model cannot do without {' and '.join(left_out)}.", channels)
    if not missing:
        return FoundStudy(chosen, _series_findings(chosen))
    if folder is None:
        if channels.without({*left_out, *missing}) is None:
            raise _too_few(f"No image was given for {', '.join(sorted(missing))}.", channels)
        return FoundStudy(chosen, _series_findings(chosen))
    optional = [frozenset(o.channels) - set(left_out) for o in channels.optional if set(left_out) < set(o.channels)]
    try:
        return _search(folder, chosen, channels, wanted, ())
    except MissingSequenceError as error:
        if not optional:
            raise
        try:
            found = _search(folder, chosen, channels, wanted, optional)
        except MissingSequenceError:
            raise _too_few(str(error), channels, error.hint) from None
        if channels.without([name for name in channels.names if name not in found.scans]) is None:
            raise _too_few(str(error), channels, error.hint) from None
        return found


def _too_few(message: str, channels: ChannelSet, hint: str = "") -> MissingSequenceError:
    optional = channels.describe_optional()
    what = f"The model can do without {optional}." if optional else ""
    return MissingSequenceError(message, f"{hint} {what}".strip() or "Give all sequences, or choose another model.")


def _search(
    folder: Path,
    chosen: dict[SequenceName, FoundScan],
    channels: ChannelSet,
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    """Look for the wanted channels that were not chosen; see `find_study`."""
    files = _image_files(folder)
    others = {file: channels.named(file.name) for file in files}
    files = [file for file in files if others[file] is None]
    chosen = chosen | _other_channels(folder, others, [c for c in wanted if c not in SEQUENCES and c not in chosen])
    absent = frozenset(c for c in wanted if c not in SEQUENCES and c not in chosen)
    if absent and not any(absent <= option for option in optional):
        raise MissingSequenceError(
            f"{folder} has no image named after {' or '.join(sorted(absent))}.",
            "Name the right files with " + " ".join(f"--scan {name}=FILE" for name in sorted(absent)) + ".",
        )
    sequences = [s for s in wanted if s in SEQUENCES]
    looked_for = [s for s in sequences if s not in chosen]
    may_lack = [option - absent for option in optional if absent <= option]
    if not looked_for:
        return FoundStudy(chosen, _series_findings(chosen))
    names = [sequence_in_name(_telling_name(folder, file)) for file in files]
    if any(s not in names for s in looked_for):
        series = find_series(folder)
        if any(not s.set_aside for s in series) or (series and not files):
            return _from_series(folder, series, chosen, sequences, may_lack)
    return _from_files(folder, files, chosen, sequences, may_lack)


def _other_channels(
    folder: Path, names: Mapping[Path, SequenceName | None], wanted: Sequence[SequenceName]
) -> dict[SequenceName, FoundScan]:
    """Return the image files that are named after channels other than `SEQUENCES`."""
    found = {}
    for channel in wanted:
        files = [file for file, name in names.items() if name == channel]
        if len(files) > 1:
            raise AmbiguousSequenceError(
                f"{files[0].name} and {files[1].name} in {folder} both look like {channel}.",
                f"Name the right one with --scan {channel}=FILE.",
            )
        if files:
            found[channel] = FoundScan(files[0], 1.0, "its name says so")
    return found


def _image_files(folder: Path) -> list[Path]:
    own = sorted(path for path in folder.iterdir() if is_image_file(path))
    return own or sorted(path for path in files_below(folder) if is_image_file(path))


def _place_of(path: Path, folder: Path | None) -> Path | DicomSeries:
    """The series of a folder or of a DICOM file, whose others may lie anywhere in the study's; else the path."""
    if path.is_dir():
        volumes = [series for series in find_series(path) if not series.set_aside]
    elif path.is_file() and read_header(path) is not None:
        around = folder if folder is not None and path.is_relative_to(folder) else path.parent
        volumes = [series for series in find_series(around) if path in series.files]
    else:
        return path
    if len(volumes) != 1:
        names = ", ".join(series.name for series in volumes) or "none"
        raise AmbiguousSequenceError(
            f"{path} should be one DICOM series; found {names}.", "Choose a file of the right series."
        )
    return _sound(volumes[0])


def _sound(series: DicomSeries) -> DicomSeries:
    if series.grid is None:
        raise UnusableImageError(
            f"Series {series.name} cannot be used. {series.set_aside or series.problem}",
            "Export the series again, or choose another.",
        )
    return series


def choose_by_name(
    folder: Path, files: Sequence[Path], sequences: Sequence[SequenceName] = SEQUENCES
) -> tuple[dict[SequenceName, Path], list[Path]]:
    """Choose image files by their names; of several versions of all scans, the plain ones.

    Args:
        folder: Folder of the patient, for messages.
        files: Image files in it or below.
        sequences: Sequences to look for.

    Returns:
        The file of each sequence that a name speaks of, and the files that are other versions of them.

    Raises:
        AmbiguousSequenceError: If two files claim the same sequence.
    """
    claims: dict[SequenceName, list[Path]] = {s: [] for s in sequences}
    for file in files:
        sequence = sequence_in_name(_telling_name(folder, file))
        if sequence in claims:
            claims[sequence].append(file)
    other_versions = _other_versions(claims)
    chosen: dict[SequenceName, Path] = {}
    for sequence, claiming in claims.items():
        left = [file for file in claiming if file not in other_versions]
        if len(left) > 1:
            names = [str(file.relative_to(folder)) for file in left]
            raise AmbiguousSequenceError(
                f"{' and '.join(names[:2])} in {folder} both look like {sequence}.",
                f"Name the right one with --{sequence.lower()}.",
            )
        if left:
            chosen[sequence] = left[0]
    return chosen, other_versions


def versions_finding(folder: Path, other_versions: Sequence[Path]) -> Finding:
    """Return the warning that names the files that `choose_by_name` took for other versions."""
    names = [str(file.relative_to(folder)) for file in other_versions]
    text = f"Of several versions of each scan, those of the shortest names were taken, and not {', '.join(names)}."
    return Finding("passed_over", text)


def _from_files(
    folder: Path,
    files: list[Path],
    chosen: dict[SequenceName, FoundScan],
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    others = [file for file in files if file not in [found.place for found in chosen.values()]]
    _, other_versions = choose_by_name(folder, others, [s for s in wanted if s not in chosen])
    others = [file for file in others if file not in other_versions]
    candidates = [replace(_candidate_of(file), name=_telling_name(folder, file)) for file in others]
    found = _recognized(folder, others, candidates, chosen, wanted, optional)
    if other_versions:
        found.findings.append(versions_finding(folder, other_versions))
    return found


def _other_versions(claims: Mapping[SequenceName, list[Path]]) -> list[Path]:
    """Files named as the four and something more, such as ``_bias``; none unless all four are there so."""
    versions: dict[frozenset[str], dict[SequenceName, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for sequence, files in claims.items():
        for file in files:
            versions[other_words(file.name)][sequence].append(file)
    plain = min(versions, key=len, default=frozenset())
    if any(len(version[sequence]) != 1 for version in versions.values() for sequence in claims):
        return []
    if not all(plain < more for more in versions if more != plain):
        return []
    return [file for more, files in versions.items() if more != plain for same in files.values() for file in same]


def _telling_name(folder: Path, file: Path) -> str:
    """The file's name, with that of its folder where only that one speaks of a sequence."""
    parent = file.parent
    if parent != folder and sequence_in_name(file.name) is None and sequence_in_name(parent.name) is not None:
        return f"{parent.name}/{file.name}"
    return file.name


def _from_series(
    folder: Path,
    series: list[DicomSeries],
    chosen: dict[SequenceName, FoundScan],
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    set_aside = {s.name: s.set_aside for s in series if s.set_aside}
    given_files = {f for found in chosen.values() if isinstance(found.place, DicomSeries) for f in found.place.files}
    usable = [volume for volume in series if not volume.set_aside and not given_files.intersection(volume.files)]
    studies, days = _by(usable, _study_of), _by(usable, _day_of)
    # A visit may be filed as several studies, so that those of one day are put together where none holds all four.
    tried = [(name, studies[name]) for name in sorted(studies, reverse=True)]
    tried += [(day, days[day]) for day in sorted(days, reverse=True) if len(_by(days[day], _study_of)) > 1]
    errors: list[MissingSequenceError | UnusableImageError] = []
    for name, volumes in tried:
        candidates = [_candidate_of(volume) for volume in volumes]
        try:
            found = _recognized(folder, volumes, candidates, chosen, wanted, optional)
        except (MissingSequenceError, UnusableImageError) as error:
            errors.append(error)
            continue
        findings = found.findings
        if len(studies) > 1:
            names = ", ".join(sorted(_told_name(volumes[0], studies) for volumes in studies.values()))
            taken = _by(list(found.series.values()), _study_of)
            if len(taken) > 1:
                parts = [f"{_told_name(v[0], taken)} ({', '.join(x.name for x in v)})" for v in taken.values()]
                text = f"The scans are of several studies: {' and '.join(parts)}. Check that they are of one session."
                findings.append(Finding("mixed_studies", text))
            else:
                name = _told_name(volumes[0], studies)
                findings.append(
                    Finding("several_studies", f"{folder} holds studies of {names}; that of {name} was taken.")
                )
        return FoundStudy(found.scans, findings, set_aside)
    if errors:
        if isinstance(errors[0], UnusableImageError):
            raise errors[0]
        excluded = "; ".join(f"{name}: {reason}" for name, reason in set_aside.items())
        raise MissingSequenceError(f"{errors[0]}" + (f" Excluded: {excluded}" if excluded else ""), errors[0].hint)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in set_aside.items())
    raise MissingSequenceError(f"No DICOM series in {folder} can be a scan that the model takes. {reasons}")


def _by(series: Sequence[DicomSeries], key: Callable[[DicomSeries], str]) -> dict[str, list[DicomSeries]]:
    groups: dict[str, list[DicomSeries]] = defaultdict(list)
    for volume in series:
        groups[key(volume)].append(volume)
    return groups


def _day_of(series: DicomSeries) -> str:
    return series.tags.study_date or series.tags.study_uid


def _study_of(series: DicomSeries) -> str:
    """Return what sets the series' study apart, in the order of time."""
    tags = series.tags
    return " ".join((tags.study_date, tags.study_time, tags.study_uid))


def _told_name(series: DicomSeries, studies: Mapping[str, object]) -> str:
    """Return a study's date, with what else is needed to tell it from the others."""
    tags = series.tags
    same_day = sum(name.split(" ")[0] == tags.study_date for name in studies) > 1
    if tags.study_date and not same_day:
        return tags.study_date
    return " ".join(part for part in (tags.study_date, tags.study_time[:6], tags.study_uid) if part)


def _candidate_of(place: Path | DicomSeries) -> Candidate:
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
    """The choice among candidates, which stand at the same places of their list."""
    known = {s: found for s, found in chosen.items() if s in SEQUENCES}
    given = {s: len(candidates) + i for i, s in enumerate(known)}
    given_candidates = [_candidate_of(found.place) for found in known.values()]
    try:
        recognition = recognize_sequences([*candidates, *given_candidates], given, wanted, optional)
    except MissingSequenceError as error:
        raise MissingSequenceError(f"{folder}: {error}", error.hint) from error

    def found(sequence: SequenceName, choice: Choice) -> FoundScan:
        if sequence in chosen:
            return chosen[sequence]
        place = places[choice.index]
        return FoundScan(place if isinstance(place, Path) else _sound(place), choice.confidence, choice.reason)

    scans = {s: found(s, choice) for s, choice in recognition.choices.items()}
    scans |= {s: scan for s, scan in chosen.items() if s not in SEQUENCES}
    return FoundStudy(scans, _series_findings(scans) + recognition.findings)


def _series_of(scans: Mapping[SequenceName, FoundScan]) -> dict[SequenceName, DicomSeries]:
    return {s: scan.place for s, scan in scans.items() if isinstance(scan.place, DicomSeries)}


def _series_findings(scans: Mapping[SequenceName, FoundScan]) -> list[Finding]:
    found = _series_of(scans).values()
    check_one_person(series.tags for series in found)
    return [finding for series in found for finding in series.findings]
