"""The patients of a batch, from a folder or a CSV.

A folder has a folder for each patient, which is named after them. A CSV (UTF-8, comma or semicolon) has the column
``patient`` and either ``input``, a folder, or ``T1``, ``T1ce``, ``T2`` and ``FLAIR``, files; files go before what is
found in the folder. Relative paths start from the CSV's folder.
"""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tokenunet.core.errors import InputError
from tokenunet.core.sequences import ALIASES, SEQUENCES, SequenceName, sequence_named
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.pipeline import SegmentationRequest
from tokenunet.io.files import SAFE_NAME

_ALIASES: Mapping[str, tuple[str, ...]] = {str(sequence): names for sequence, names in ALIASES.items()}


def find_patients(place: Path, request: SegmentationRequest) -> list[PatientJob]:
    """A job for each patient of a folder or a CSV; no scan is looked for yet.

    Args:
        place: the folder or the CSV.
        request: what to do with each; its output is the folder that their folders of results are made in.

    Raises:
        InputError: where there are none, or they cannot be told apart.
    """
    # A result that names its scans by absolute paths is known again from wherever the batch is started.
    place, output = place.resolve(), request.output.resolve()
    request = replace(request, output=output, model=request.model.absolute())
    if output == place:
        raise InputError(f"The results cannot lie among the patients in {place}.", "Choose another --output.")
    try:
        jobs = _in_csv(place, request) if place.is_file() else _in_folder(place, request)
    except OSError as error:
        raise InputError(f"{place} cannot be read: {error.strerror or error}.", "Check the path.") from error
    for name, count in Counter(job.patient.lower() for job in jobs).items():
        if count > 1:  # names become names of folders, also where case does not count
            raise InputError(f"{place} has {count} patients named {name}.", "Give every patient a name of their own.")
    return jobs


def _in_folder(place: Path, request: SegmentationRequest) -> list[PatientJob]:
    folders = sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    jobs = [_job(folder.name, request, {}, folder) for folder in folders if folder != request.output]
    if not jobs:
        raise InputError(
            f"{place} holds no folders; --batch takes one with a folder for each patient.",
            "For a single patient use --input.",
        )
    return jobs


def _in_csv(place: Path, request: SegmentationRequest) -> list[PatientJob]:
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines() or [""]
        reader = csv.DictReader(lines, delimiter=";" if lines[0].count(";") > lines[0].count(",") else ",")
        columns = _columns(place, reader.fieldnames or ())
        rows = [{column: (row[name] or "").strip() for column, name in columns.items()} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{place} is no CSV in UTF-8.", "Save it as CSV UTF-8.") from error
    if "patient" not in columns or ("input" not in columns and not set(SEQUENCES) <= columns.keys()):
        raise InputError(
            f"{place} has the columns {', '.join(columns)}.",
            "Its first line must be patient,input or patient,T1,T1ce,T2,FLAIR.",
        )
    jobs = []
    for row in (row for row in rows if any(row.values())):
        if not SAFE_NAME.fullmatch(row["patient"]):
            raise InputError(
                f"{row['patient']!r} in {place} cannot name a patient.",
                "Use letters, digits, blanks and the signs _ . + -, and begin with a letter or digit.",
            )
        files: dict[SequenceName, Path] = {s: _beside(place, row[s]) for s in SEQUENCES if row.get(s)}
        folder = _beside(place, row["input"]) if row.get("input") else None
        jobs.append(_job(row["patient"], request, files, folder))
    if not jobs:
        raise InputError(f"{place} names no patients.", "Write a line for each.")
    return jobs


def _job(
    patient: str, request: SegmentationRequest, files: dict[SequenceName, Path], folder: Path | None
) -> PatientJob:
    return PatientJob(patient, replace(request, inputs=files, folder=folder, output=request.output / patient))


def _columns(place: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the table's name of each known column; ``T1`` goes before ``T1_raw``.

    Raises:
        InputError: If two columns fit one sequence.
    """
    fitting: dict[str, list[str]] = {}
    for name in names:
        fitting.setdefault(_column_named(name), []).append(name)
    columns = {}
    for column, same in fitting.items():
        plain = [name for name in same if name.strip().lower() in (column.lower(), *_ALIASES.get(column, ()))]
        same = plain if len(plain) == 1 else same
        if len(same) > 1 and column in (*SEQUENCES, "patient", "input"):
            raise InputError(
                f"{place} has several columns for {column}: {', '.join(same)}.", "Leave only one of them in the table."
            )
        columns[column] = same[0]
    return columns


def _column_named(name: str) -> str:
    plain = name.strip().lower()
    return plain if plain in ("patient", "input") else sequence_named(plain) or plain


def _beside(place: Path, entry: str) -> Path:
    if ".." in Path(entry).parts:
        raise InputError(f"{place} names {entry}, which leaves the CSV's folder.", "Write the whole path instead.")
    return place.parent / entry
