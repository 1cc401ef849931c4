"""Patients of a batch, from a folder or a CSV file.

A folder has one folder per patient, with the patient's name; if it contains folders of several sessions (``ses-1``,
``week-012``, a date), each session is segmented separately. A CSV file (UTF-8, comma or semicolon) has the column
``patient`` and either ``input``, a folder, or a column of files for each channel of the model, such as ``T1``; files
take precedence over the folder, and an empty cell means that the scan is missing. Relative paths start from the folder
of the CSV file.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tokenunet.bundle.store import find_manifest, find_model
from tokenunet.core.errors import InputError
from tokenunet.core.events import OnEvent, WarningEvent, ignore_events
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.data.patients import names_session
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import SAFE_NAME, files_below, is_archive, is_broken_link
from tokenunet.io.tables import read_patient_table
from tokenunet.study.identify.tags_and_names import sequence_in_name
from tokenunet.study.image_files import is_image_file


def find_patients(place: Path, request: SegmentationRequest, on_event: OnEvent = ignore_events) -> list[PatientJob]:
    """Return a job for each patient, or each session, of a folder or a CSV file, without searching for scans yet.

    Args:
        place: Folder or CSV file.
        request: Request whose settings apply to every patient; its output is the parent of the folders of results.
        on_event: Callback that receives warnings about ignored files and columns.

    Raises:
        InputError: If there are no patients, or two have the same name.
    """
    # With absolute paths in its report, a result is recognized again from any current folder.
    place, output = place.resolve(), request.output.resolve()
    request = replace(request, output=output, model=find_model(str(request.model)).absolute())
    if output == place:
        raise InputError(f"Results cannot be written among the patients in {place}.", "Choose another --output.")
    try:
        jobs = _in_csv(place, request, on_event) if place.is_file() else _in_folder(place, request, on_event)
    except OSError as error:
        raise InputError(f"{place} cannot be read: {error.strerror or error}.", "Check the path.") from error
    for name, count in Counter(job.patient.lower() for job in jobs).items():
        if count > 1:  # names of folders may be case-insensitive
            raise InputError(f"{place} has {count} patients named {name}.", "Give every patient a unique name.")
    return jobs


def _in_folder(place: Path, request: SegmentationRequest, on_event: OnEvent) -> list[PatientJob]:
    entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
    # A broken link is a patient, too, whose row reports it.
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
            f"{place} contains no folders; --batch needs one folder per patient.",
            "For a single patient use --input.",
        )
    return jobs


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
    """Return whether a folder whose name is a number may be a DICOM series rather than a session."""
    named = {sequence_in_name(file.name) for file in files_below(folder) if is_image_file(file)}
    return not names_session((folder.name,)) and not named.issuperset(SEQUENCES)


def _in_csv(place: Path, request: SegmentationRequest, on_event: OnEvent) -> list[PatientJob]:
    channels = find_manifest(str(request.model)).inputs
    table = read_patient_table(place, ("patient", "input"), channels)
    absent = [name for name in channels.names if name not in table.columns]
    if "patient" not in table.columns or ("input" not in table.columns and channels.without(absent) is None):
        raise InputError(
            f"{place} has the columns {', '.join(table.names)}.",
            f"Its first line must be patient,input or patient,{','.join(channels.names)}.",
        )
    if table.ignored:
        on_event(WarningEvent("unknown_columns", f"Columns of {place} that were ignored: {', '.join(table.ignored)}."))
    jobs = []
    for row in table.rows:
        if not row["patient"]:
            entry = next(value for value in row.values() if value)
            raise InputError(f"The row of {entry} in {place} names no patient.", "Fill in its column patient.")
        if not SAFE_NAME.fullmatch(row["patient"]):
            raise InputError(
                f"{row['patient']!r} in {place} cannot name a patient.",
                "Use letters, digits, blanks and the signs _ . + -, and start with a letter or digit.",
            )
        files = {name: table.file(row[name]) for name in channels.names if row.get(name)}
        folder = table.file(row["input"]) if row.get("input") else None
        left_out = () if folder else tuple(name for name in channels.names if name not in files)
        jobs.append(_job(row["patient"], replace(request, left_out=left_out), files, folder))
    if not jobs:
        raise InputError(f"{place} has no patients.", "Write a line for each.")
    for warning in _shared_files(place, jobs):
        on_event(warning)
    return jobs


def _shared_files(place: Path, jobs: Sequence[PatientJob]) -> Iterator[WarningEvent]:
    """Yield a warning for each file or folder that a table gives to several patients."""
    patients: dict[Path, list[str]] = {}
    for job in jobs:
        folder = [job.request.folder] if job.request.folder else []
        for path in {path.resolve() for path in (*job.request.inputs.values(), *folder)}:
            patients.setdefault(path, []).append(job.patient)
    for path, names in patients.items():
        if len(names) > 1:
            text = f"{place} gives {path} to {' and '.join(names)}. Check that no row was copied."
            yield WarningEvent("shared_file", text)


def _job(
    patient: str, request: SegmentationRequest, files: dict[SequenceName, Path], folder: Path | None
) -> PatientJob:
    dicom_out = None if request.dicom_out is None else request.dicom_out / patient
    request = replace(request, inputs=files, folder=folder, output=request.output / patient, dicom_out=dicom_out)
    return PatientJob(patient, request)
