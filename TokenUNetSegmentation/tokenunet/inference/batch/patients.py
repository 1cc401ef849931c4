"""The patients of a batch, from a folder or a CSV.

<<<<<<< HEAD
A folder has a folder for each patient, which is named after them. A CSV (UTF-8, comma or semicolon) has the column
``patient`` and either ``input``, a folder, or a column of files for each of the model's channels, such as ``T1``; files
go before what is found in the folder, and an empty cell means that the scan is missing. Relative paths start from the
CSV's folder.
=======
A folder has a folder for each patient, which is named after them; where it holds folders of several sessions
(``ses-1``, ``week-012``, a date), each of those is segmented on its own. A CSV (UTF-8, comma or semicolon) has the
column ``patient`` and either ``input``, a folder, or ``T1``, ``T1ce``, ``T2`` and ``FLAIR``, files; files go before
what is found in the folder. Relative paths start from the CSV's folder.
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)
"""

from collections import Counter
<<<<<<< HEAD
from collections.abc import Sequence
=======
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)
from dataclasses import replace
from pathlib import Path

from tokenunet.bundle.store import find_manifest, find_model
from tokenunet.core.channels import ChannelSet
from tokenunet.core.errors import InputError
<<<<<<< HEAD
from tokenunet.core.sequences import SequenceName, sequence_named
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import SAFE_NAME
=======
from tokenunet.core.events import OnEvent, WarningEvent, ignore_events
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.data.patients import names_session
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.pipeline import SegmentationRequest
from tokenunet.io.files import SAFE_NAME, files_below, is_archive, is_broken_link
from tokenunet.io.tables import read_patient_table
from tokenunet.study.identify.tags_and_names import sequence_in_name
from tokenunet.study.scans import is_image_file
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)


def find_patients(place: Path, request: SegmentationRequest, on_event: OnEvent = ignore_events) -> list[PatientJob]:
    """Return a job for each patient of a folder or a CSV, or for each session of theirs; no scan is looked for yet.

    Args:
        place: Folder or CSV.
        request: What to do with each; its output is the folder that their folders of results are made in.
        on_event: Receives warnings about what was ignored.

    Raises:
        InputError: If there are none, or they cannot be told apart.
    """
    # A result that names its scans by absolute paths is known again from wherever the batch is started.
    place, output = place.resolve(), request.output.resolve()
    request = replace(request, output=output, model=find_model(str(request.model)).absolute())
    if output == place:
        raise InputError(f"The results cannot lie among the patients in {place}.", "Choose another --output.")
    try:
        jobs = _in_csv(place, request, on_event) if place.is_file() else _in_folder(place, request, on_event)
    except OSError as error:
        raise InputError(f"{place} cannot be read: {error.strerror or error}.", "Check the path.") from error
    for name, count in Counter(job.patient.lower() for job in jobs).items():
        if count > 1:  # names become names of folders, also where case does not count
            raise InputError(f"{place} has {count} patients named {name}.", "Give every patient a name of their own.")
    return jobs


def _in_folder(place: Path, request: SegmentationRequest, on_event: OnEvent) -> list[PatientJob]:
    entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
    # A broken link is a patient, too, whose row says so.
    folders = [entry for entry in entries if entry.is_dir() or is_broken_link(entry)]
    jobs = []
    for folder in (folder for folder in folders if folder != request.output):
        sessions = session_folders(folder)
        if len(sessions) < 2:
            jobs.append(_job(folder.name, request, {}, folder))
        else:
            names = (s.name if s.name.startswith(folder.name) else f"{folder.name}_{s.name}" for s in sessions)
            jobs += [_job(name, request, {}, session) for name, session in zip(names, sessions, strict=True)]
    for archive in filter(is_archive, entries):
        on_event(WarningEvent("ignored_file", f"{archive} was ignored: it is an archive. Unpack it into a folder."))
    if not jobs:
        raise InputError(
            f"{place} holds no folders; --batch takes one with a folder for each patient.",
            "For a single patient use --input.",
        )
    return jobs


<<<<<<< HEAD
def _in_csv(place: Path, request: SegmentationRequest) -> list[PatientJob]:
    channels = find_manifest(str(request.model)).inputs
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines() or [""]
        reader = csv.DictReader(lines, delimiter=";" if lines[0].count(";") > lines[0].count(",") else ",")
        columns = _columns(place, reader.fieldnames or (), channels)
        rows = [{column: (row[name] or "").strip() for column, name in columns.items()} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{place} is no CSV in UTF-8.", "Save it as CSV UTF-8.") from error
    absent = [name for name in channels.names if name not in columns]
    if "patient" not in columns or ("input" not in columns and channels.without(absent) is None):
        raise InputError(
            f"{place} has the columns {', '.join(columns)}.",
            f"Its first line must be patient,input or patient,{','.join(channels.names)}.",
=======
def session_folders(patient: Path) -> list[Path]:
    """Return the folders of a patient's sessions, sorted by name; none if the scans are not in such folders.

    Args:
        patient: Folder of the patient.
    """
    if not patient.is_dir() or any(map(is_image_file, patient.iterdir())):
        return []
    inner = sorted(e for e in patient.iterdir() if e.is_dir() and not e.name.startswith("."))
    if any(sequence_in_name(folder.name) for folder in inner):
        return []
    return [folder for folder in inner if names_session((patient.name, folder.name)) and not _may_be_series(folder)]


def _may_be_series(folder: Path) -> bool:
    """Return whether a folder with a number for a name may be a DICOM series rather than a session."""
    named = {sequence_in_name(file.name) for file in files_below(folder) if is_image_file(file)}
    return not names_session((folder.name,)) and not named.issuperset(SEQUENCES)


def _in_csv(place: Path, request: SegmentationRequest, on_event: OnEvent) -> list[PatientJob]:
    table = read_patient_table(place, ("patient", "input"))
    columns = table.columns.keys()
    if "patient" not in columns or ("input" not in columns and not set(SEQUENCES) <= columns):
        raise InputError(
            f"{place} has the columns {', '.join(table.names)}.",
            "Its first line must be patient,input or patient,T1,T1ce,T2,FLAIR.",
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)
        )
    if table.ignored:
        on_event(WarningEvent("unknown_columns", f"Columns of {place} that were ignored: {', '.join(table.ignored)}."))
    jobs = []
    for row in table.rows:
        if not SAFE_NAME.fullmatch(row["patient"]):
            raise InputError(
                f"{row['patient']!r} in {place} cannot name a patient.",
                "Use letters, digits, blanks and the signs _ . + -, and begin with a letter or digit.",
            )
<<<<<<< HEAD
        files = {name: _beside(place, row[name]) for name in channels.names if row.get(name)}
        folder = _beside(place, row["input"]) if row.get("input") else None
        left_out = () if folder else tuple(name for name in channels.names if name not in files)
        jobs.append(_job(row["patient"], replace(request, left_out=left_out), files, folder))
=======
        files: dict[SequenceName, Path] = {s: table.file(row[s]) for s in SEQUENCES if row.get(s)}
        folder = table.file(row["input"]) if row.get("input") else None
        jobs.append(_job(row["patient"], request, files, folder))
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)
    if not jobs:
        raise InputError(f"{place} names no patients.", "Write a line for each.")
    return jobs


def _job(
    patient: str, request: SegmentationRequest, files: dict[SequenceName, Path], folder: Path | None
) -> PatientJob:
    return PatientJob(patient, replace(request, inputs=files, folder=folder, output=request.output / patient))
<<<<<<< HEAD


def _columns(place: Path, names: Sequence[str], channels: ChannelSet) -> dict[str, str]:
    """Return the table's name of each known column; ``T1`` goes before ``T1_raw``.

    Raises:
        InputError: If two columns fit one sequence.
    """
    fitting: dict[str, list[str]] = {}
    for name in names:
        fitting.setdefault(_column_named(name, channels), []).append(name)
    columns = {}
    for column, same in fitting.items():
        plain = [n for n in same if n.strip().lower() == column.lower() or channels.find(n.strip()) == column]
        same = plain if len(plain) == 1 else same
        if len(same) > 1 and column in (*channels.names, "patient", "input"):
            raise InputError(
                f"{place} has several columns for {column}: {', '.join(same)}.", "Leave only one of them in the table."
            )
        columns[column] = same[0]
    return columns


def _column_named(name: str, channels: ChannelSet) -> str:
    plain = name.strip().lower()
    if plain in ("patient", "input"):
        return plain
    return channels.find(plain) or channels.named(plain) or sequence_named(plain) or plain


def _beside(place: Path, entry: str) -> Path:
    if ".." in Path(entry).parts:
        raise InputError(f"{place} names {entry}, which leaves the CSV's folder.", "Write the whole path instead.")
    return place.parent / entry
=======
>>>>>>> 4d79ce8 (ENH: Name what tables and folders hold besides scans; batch sessions)
