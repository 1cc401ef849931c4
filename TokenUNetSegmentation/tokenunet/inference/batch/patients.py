"""The patients of a batch, from a folder or a CSV.

A folder has a folder for each patient, which is named after them. A CSV (UTF-8, comma or semicolon) has the column
``patient`` and either ``input``, a folder, or a column of files for each of the model's channels, such as ``T1``; files
go before what is found in the folder, and an empty cell means that the scan is missing. Relative paths start from the
CSV's folder.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tokenunet.bundle.store import find_manifest, find_model
from tokenunet.core.channels import ChannelSet
from tokenunet.core.errors import InputError
from tokenunet.core.sequences import SequenceName, sequence_named
from tokenunet.inference.batch.job import PatientJob
from tokenunet.inference.request import SegmentationRequest
from tokenunet.io.files import SAFE_NAME


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
    request = replace(request, output=output, model=find_model(str(request.model)).absolute())
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
        )
    jobs = []
    for row in (row for row in rows if any(row.values())):
        if not SAFE_NAME.fullmatch(row["patient"]):
            raise InputError(
                f"{row['patient']!r} in {place} cannot name a patient.",
                "Use letters, digits, blanks and the signs _ . + -, and begin with a letter or digit.",
            )
        files = {name: _beside(place, row[name]) for name in channels.names if row.get(name)}
        folder = _beside(place, row["input"]) if row.get("input") else None
        left_out = () if folder else tuple(name for name in channels.names if name not in files)
        jobs.append(_job(row["patient"], replace(request, left_out=left_out), files, folder))
    if not jobs:
        raise InputError(f"{place} names no patients.", "Write a line for each.")
    return jobs


def _job(
    patient: str, request: SegmentationRequest, files: dict[SequenceName, Path], folder: Path | None
) -> PatientJob:
    return PatientJob(patient, replace(request, inputs=files, folder=folder, output=request.output / patient))


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
