"""Search for a patient's scans in a folder, as DICOM series or as image files."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from tokenunet.core.channels import FOUR_SEQUENCES, ChannelSet
from tokenunet.core.errors import (
    AmbiguousSequenceError,
    InputError,
    MissingSequenceError,
    SequenceSetError,
    UnreadableImageError,
)
from tokenunet.core.findings import Finding
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.io.files import broken_link_text, broken_links, files_below, is_archive, is_broken_link
from tokenunet.io.result_files import LABELS_FILE, RUN_REPORT
from tokenunet.study.dicom import DicomSeries, find_series
from tokenunet.study.dicom_header import read_header
from tokenunet.study.file_names import mixed_names
from tokenunet.study.found_study import FoundScan, FoundStudy, series_findings
from tokenunet.study.identify.tags_and_names import sequence_in_name
from tokenunet.study.image_files import is_image_file
from tokenunet.study.select import select_files, select_series, usable_series
from tokenunet.study.versions import telling_name


def find_study(
    folder: Path | None,
    given: Mapping[SequenceName, Path] | None = None,
    channels: ChannelSet = FOUR_SEQUENCES,
    left_out: Collection[SequenceName] = (),
) -> FoundStudy:
    """Find the scans of a patient that a model takes.

    Image files are chosen by their names if these tell all sequences. If not, DICOM series in all folders below are
    used, and if there are none, image files by their names and image features. Image files in folders below are only
    considered if the folder itself holds none. Channels other than `SEQUENCES` are found by the names of image files.
    Optional channels of the model may be missing.

    Args:
        folder: Folder of one patient, or a DICOMDIR in it; None if all scans are given.
        given: Path by channel that the user has chosen: an image, or a DICOM series by its folder or any of its files.
        channels: Channels of the model.
        left_out: Channels that are known to be missing.

    Raises:
        MissingSequenceError: If no sequence is found, or there is no such folder.
        SequenceSetError: If a sequence that the model needs is not there.
        AmbiguousSequenceError: If two files are named after the same sequence.
        MixedPatientsError: If DICOM files belong to several patients.
        UnreadableImageError: If a DICOM file is damaged, or a folder or file cannot be read.
        UnusableImageError: If a DICOM series that is needed lacks a slice or is otherwise not a volume.

    Example:
        >>> study = find_study(Path("patient")).read()  # doctest: +SKIP
    """
    try:
        found = _find(folder, given or {}, channels, left_out)
    except OSError as error:
        raise UnreadableImageError(
            f"{error.filename or folder} cannot be read: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from error
    files = {sequence: scan.place for sequence, scan in found.scans.items() if isinstance(scan.place, Path)}
    return replace(found, findings=found.findings + mixed_names(files))


def _find(
    folder: Path | None, given: Mapping[SequenceName, Path], channels: ChannelSet, left_out: Collection[SequenceName]
) -> FoundStudy:
    """Find the scans of a patient; see `find_study`."""
    if folder is not None and folder.name.upper() == "DICOMDIR" and folder.is_file():
        folder = folder.parent
    if folder is not None and not folder.is_dir():
        raise _no_folder(folder)
    chosen = {s: FoundScan(_place_of(p, folder), 1.0, "it was given as such") for s, p in given.items()}
    wanted = [name for name in channels.names if name not in left_out]
    missing = {name for name in wanted if name not in chosen}
    if channels.without(left_out) is None:
        raise _too_few(f"The model cannot do without {' and '.join(left_out)}.", channels)
    if not missing:
        return FoundStudy(chosen, series_findings(chosen))
    if folder is None:
        if channels.without({*left_out, *missing}) is None:
            raise _too_few(f"No image was given for {', '.join(sorted(missing))}.", channels)
        return FoundStudy(chosen, series_findings(chosen))
    optional = [frozenset(o.channels) - set(left_out) for o in channels.optional if set(left_out) < set(o.channels)]
    try:
        found = _search(folder, chosen, channels, wanted, ())
    except MissingSequenceError as error:
        if optional:
            found = _search_without(folder, chosen, channels, wanted, optional, error)
        else:
            raise type(error)(" ".join((str(error), *_ignored_files(folder))), error.hint) from error
    links = [Finding("broken_link", broken_link_text(link)) for link in broken_links(folder)]
    return replace(found, findings=found.findings + links)


def _search_without(
    folder: Path,
    chosen: dict[SequenceName, FoundScan],
    channels: ChannelSet,
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
    error: MissingSequenceError,
) -> FoundStudy:
    """Search for the channels that the model needs, without the optional ones; see `find_study`."""
    message = " ".join((str(error), *_ignored_files(folder)))
    try:
        found = _search(folder, chosen, channels, wanted, optional)
    except MissingSequenceError as caught:
        raise _too_few(message, channels, error.hint, type(caught)) from None
    if channels.without([name for name in channels.names if name not in found.scans]) is None:
        raise _too_few(message, channels, error.hint) from None
    return found


def _ignored_files(folder: Path) -> list[str]:
    """Return a sentence for each archive and broken link in a folder."""
    archives = [f"{file} is an archive: unpack it." for file in files_below(folder) if is_archive(file)]
    return archives + [broken_link_text(link) for link in broken_links(folder)]


def _no_folder(folder: Path) -> InputError:
    """Return the error about a path that is not a folder."""
    if is_archive(folder):
        return MissingSequenceError(f"{folder} is an archive.", "Unpack it, and choose the folder.")
    if is_broken_link(folder):
        return MissingSequenceError(f"{broken_link_text(folder)}", "Correct the link.")
    if folder.is_file():
        return MissingSequenceError(f"{folder} is a file.", "Choose the folder of the patient's scans.")
    return MissingSequenceError(f"There is no folder {folder}.", "Check the path.")


def _too_few(
    message: str, channels: ChannelSet, hint: str = "", kind: type[MissingSequenceError] = SequenceSetError
) -> MissingSequenceError:
    """Return the error about missing channels, with those that are optional as a hint."""
    optional = channels.describe_optional()
    what = f"The model can do without {optional}." if optional else ""
    return kind(message, f"{hint} {what}".strip() or "Give all sequences, or choose another model.")


def _search(
    folder: Path,
    chosen: dict[SequenceName, FoundScan],
    channels: ChannelSet,
    wanted: Sequence[SequenceName],
    optional: Collection[frozenset[SequenceName]],
) -> FoundStudy:
    """Search for the wanted channels that were not chosen; see `find_study`."""
    files = _image_files(folder)
    others = {file: channels.named(file.name) for file in files}
    files = [file for file in files if others[file] is None]
    chosen = chosen | _other_channels(folder, others, [c for c in wanted if c not in SEQUENCES and c not in chosen])
    absent = frozenset(c for c in wanted if c not in SEQUENCES and c not in chosen)
    if absent and not any(absent <= option for option in optional):
        raise SequenceSetError(
            f"{folder} has no image named after {' or '.join(sorted(absent))}.",
            "Name the right files with " + " ".join(f"--scan {name}=FILE" for name in sorted(absent)) + ".",
        )
    sequences = [s for s in wanted if s in SEQUENCES]
    looked_for = [s for s in sequences if s not in chosen]
    may_lack = [option - absent for option in optional if absent <= option]
    if not looked_for:
        return FoundStudy(chosen, series_findings(chosen))
    names = [sequence_in_name(telling_name(folder, file)) for file in files]
    if any(s not in names for s in looked_for):
        series = find_series(folder)
        if any(not s.excluded for s in series) or (series and not files):
            return select_series(folder, series, chosen, sequences, may_lack)
    return select_files(folder, files, chosen, sequences, may_lack)


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
    """Return the image files in a folder, or in folders below if it holds none, without those of earlier results."""
    own = sorted(path for path in folder.iterdir() if is_image_file(path))
    if own:
        return own
    below = [path for path in files_below(folder) if is_image_file(path)]
    results = {place for place in {path.parent for path in below} if _is_in_results(place, folder)}
    return sorted(path for path in below if path.parent not in results)


def _is_in_results(place: Path, top: Path) -> bool:
    """Return whether a folder is one of results, or in one, below another folder."""
    inside = takewhile(lambda folder: folder != top, (place, *place.parents))
    return any((folder / RUN_REPORT).is_file() and (folder / LABELS_FILE).is_file() for folder in inside)


def _place_of(path: Path, folder: Path | None) -> Path | DicomSeries:
    """Return the series of a folder or DICOM file, or else the path.

    The other files of a series may be anywhere in the patient's folder.
    """
    excluded = ""
    if path.is_dir():
        found = find_series(path)
        volumes = [series for series in found if not series.excluded]
        excluded = "".join(f" {series.name}: {series.excluded}" for series in found if series.excluded)
    elif path.is_file() and read_header(path) is not None:
        around = folder if folder is not None and path.is_relative_to(folder) else path.parent
        volumes = [series for series in find_series(around) if path in series.files]
    else:
        return path
    if len(volumes) != 1:
        names = ", ".join(series.name for series in volumes) or "none"
        raise AmbiguousSequenceError(
            f"{path} should be one DICOM series; found {names}.{excluded}", "Choose a file of the right series."
        )
    return usable_series(volumes[0])
