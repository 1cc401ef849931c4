"""Finds labeled patients in the layouts that people have; `read_dataset` tells which one it is.

===============  =====================================================================================
BraTS 2018-2021  a folder per patient, ``X/X_t1ce.nii.gz`` and ``X/X_seg.nii.gz``, perhaps below HGG and LGG
BraTS 2023       a folder per patient and time, ``BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1c.nii.gz``
FeTS             as BraTS, or ``patient/time/patient_time_brain_t1c.nii.gz``
MSD              ``dataset.json``, ``imagesTr/X.nii.gz`` with a channel per sequence, ``labelsTr/X.nii.gz``
nnU-Net          ``dataset.json``, ``imagesTr/X_0000.nii.gz`` and so on, ``labelsTr/X.nii.gz``
CSV              columns ``case``, ``patient`` (optional), ``T1``, ``T1ce``, ``T2``, ``FLAIR``, ``truth``
===============  =====================================================================================
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenunet.core.errors import AmbiguousSequenceError, DatasetError, MissingSequenceError
from tokenunet.core.sequences import SEQUENCES, SequenceName, sequence_named
from tokenunet.data.cases import Case, Dataset, Finding, ImageSource
from tokenunet.data.labels import BRATS_2023_LABELS, BRATS_LABELS, labels_of
from tokenunet.io.files import SAFE_NAME
from tokenunet.study.scans import IMAGE_ENDINGS, find_sequences

_DEEPEST = 3
"""Folders below the dataset's in which patients are looked for."""
_TRUTH_WORDS = {"seg", "segm", "segmentation", "truth", "label", "labels"}
_TIME_POINTS = (
    re.compile(r"(?P<patient>BraTS-[a-z]+-\d+)-\d+", re.IGNORECASE),  # since 2023
    re.compile(r"(?P<patient>BraTS1[789]_\w+_\w+)_\d", re.IGNORECASE),
)


def read_dataset(folder: Path) -> Dataset:
    """Finds the cases of a folder in any of the layouts, or of a CSV; no image is read yet.

    Args:
        folder: a folder, or the path of a CSV.

    Raises:
        DatasetError: where there is no case, or the layout's own files are wrong.
    """
    folder = folder.resolve()
    try:
        if folder.is_file():
            dataset = _read_csv(folder)
        elif not folder.is_dir():
            raise DatasetError(f"There is no folder or CSV {folder}.", "Check the path.")
        elif (folder / "imagesTr").is_dir():
            dataset = _read_described(folder)
        else:
            dataset = _read_patient_folders(folder)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}.", "Check its rights.") from error
    if not dataset.cases and not dataset.findings:
        raise DatasetError(
            f"No patients were found in {folder}.",
            "Known are BraTS, FeTS, MSD and nnU-Net folders, and a CSV with the columns case, T1, T1ce, T2, FLAIR "
            "and truth.",
        )
    _check_names(dataset)
    return replace(dataset, cases=tuple(sorted(dataset.cases, key=lambda case: case.name)))


def patient_of(case: str) -> str:
    """The patient of a case by its name; the name itself where it speaks of no time point."""
    for pattern in _TIME_POINTS:
        if match := pattern.fullmatch(case):
            return match["patient"]
    return case


def _check_names(dataset: Dataset) -> None:
    """Names become names of files, also where case does not count."""
    for name, count in Counter(case.name.lower() for case in dataset.cases).items():
        if count > 1:
            raise DatasetError(f"{dataset.folder} has {count} cases named {name}.", "Give every case its own name.")
    for case in dataset.cases:
        if not (SAFE_NAME.fullmatch(case.name) and case.name.isascii()):
            raise DatasetError(
                f"{case.name!r} in {dataset.folder} cannot name a case.",
                "Use letters, digits, blanks and the signs _ . + -, and begin with a letter or digit.",
            )


def _read_patient_folders(root: Path) -> Dataset:
    cases, findings, kinds = [], [], set()
    folders = list(_folders_with_scans(root, _DEEPEST))
    names = Counter(folder.name for folder in folders)
    for folder in folders:
        name, patient = folder.name, patient_of(folder.name)
        prefix = f"{folder.parent.name}_{folder.name}"
        by_time = folder != root and any(p.name.startswith(prefix) for p in folder.iterdir())
        if by_time:
            name, patient = prefix, folder.parent.name
        elif names[name] > 1:
            name = "_".join(folder.relative_to(root).parts)
        since_2023 = any(re.search(r"-(t1c|t1n|t2f|t2w)\.", p.name) for p in folder.iterdir())
        kinds.add("FeTS" if by_time or name.startswith("FeTS") else "BraTS 2023" if since_2023 else "BraTS 2018-2021")
        try:
            images = _sequences_in(folder)
            truth = _truth_in(folder)
        except AmbiguousSequenceError as error:
            message = f"{error} Leave only one of them in the folder."
            findings.append(Finding(error.code, "error", name, message))
            continue
        cases.append(Case(name, patient, images, truth, BRATS_2023_LABELS if since_2023 else BRATS_LABELS))
    return Dataset(root, " and ".join(sorted(kinds)), tuple(cases), tuple(findings))


def _folders_with_scans(folder: Path, depth: int) -> Iterator[Path]:
    """Goes no deeper than ``depth``, so that a circle of links ends."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if any(_is_image(entry) and sequence_named(entry.name) for entry in entries):
        yield folder
    elif depth:
        for entry in entries:
            if entry.is_dir():
                yield from _folders_with_scans(entry, depth - 1)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(IMAGE_ENDINGS) and not path.name.startswith(".") and path.is_file()


def _sequences_in(folder: Path) -> dict[SequenceName, ImageSource]:
    """Those that are there."""
    found: dict[SequenceName, ImageSource] = {}
    for sequence in SEQUENCES:
        others = tuple(s for s in SEQUENCES if s != sequence)
        try:
            found[sequence] = ImageSource(find_sequences(folder, without=others)[sequence])
        except MissingSequenceError:
            continue
    return found


def _truth_in(folder: Path) -> Path | None:
    candidates = sorted(
        p for p in folder.iterdir() if _is_image(p) and _TRUTH_WORDS & set(re.split(r"[^a-z0-9]+", p.name.lower()))
    )
    if len(candidates) > 1:
        raise AmbiguousSequenceError(
            f"{candidates[0].name} and {candidates[1].name} in {folder} both look like the truth."
        )
    return candidates[0] if candidates else None


def _read_described(folder: Path) -> Dataset:
    """MSD and both versions of nnU-Net, which describe themselves in ``dataset.json``."""
    description = _read_description(folder / "dataset.json")
    channels = _sequence_channels(description, folder / "dataset.json")
    try:
        values = labels_of(description["labels"])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{folder / 'dataset.json'} has labels of an unknown form.", "See nnU-Net's.") from error
    ending = str(description.get("file_ending", ".nii.gz"))
    files = sorted(p for p in (folder / "imagesTr").iterdir() if p.name.endswith(ending) and _is_image(p))
    of_case: dict[str, list[Path]] = {}
    numbered = re.compile(rf"(.+)_\d{{4}}{re.escape(ending)}")
    separate = "channel_names" in description or (bool(files) and all(numbered.fullmatch(p.name) for p in files))
    for path in files:
        match = numbered.fullmatch(path.name) if separate else None
        of_case.setdefault(match[1] if match else path.name.removesuffix(ending), []).append(path)
    cases = []
    for name, paths in of_case.items():
        images: dict[SequenceName, ImageSource] = {}
        for sequence, channel in channels.items():
            path = folder / "imagesTr" / f"{name}_{channel:04d}{ending}"
            if not separate:
                images[sequence] = ImageSource(paths[0], channel)
            elif path in paths:
                images[sequence] = ImageSource(path)
        truth = folder / "labelsTr" / f"{name}{ending}"
        cases.append(Case(name, patient_of(name), images, truth if truth.is_file() else None, values))
    return Dataset(folder, "nnU-Net" if separate else "MSD", tuple(cases))


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path.parent} has imagesTr, but no dataset.json.", "Copy it there, too.") from error
    except ValueError as error:
        raise DatasetError(f"{path} is no JSON.", "Copy it again.") from error
    if not isinstance(description, dict) or not isinstance(description.get("labels"), dict):
        raise DatasetError(f"{path} names no labels.", "Add them as nnU-Net or MSD do.")
    return description


def _sequence_channels(description: Mapping[str, Any], path: Path) -> dict[SequenceName, int]:
    names = description.get("channel_names") or description.get("modality")
    if not isinstance(names, dict):
        raise DatasetError(f"{path} names no channels.", "Add channel_names (nnU-Net) or modality (MSD).")
    channels: dict[SequenceName, int] = {}
    for number, name in names.items():
        sequence = sequence_named(str(name))
        if sequence in channels:
            raise DatasetError(f"{path} has two channels for {sequence}.", "Name only one so.")
        if sequence:
            channels[sequence] = int(number)
    missing = [sequence for sequence in SEQUENCES if sequence not in channels]
    if missing:
        raise DatasetError(
            f"{path} names no channel for {', '.join(missing)}; it has {', '.join(map(str, names.values()))}.",
            "All four sequences are needed.",
        )
    return channels


def _read_csv(path: Path) -> Dataset:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() or [""]
        reader = csv.DictReader(lines, delimiter=";" if lines[0].count(";") > lines[0].count(",") else ",")
        columns = {_column_named(name): name for name in reader.fieldnames or ()}
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is no CSV in UTF-8.", "Save it as CSV UTF-8.") from error
    missing = [name for name in ("case", *SEQUENCES, "truth") if name not in columns]
    if missing:
        raise DatasetError(
            f"{path} has no column {', '.join(missing)}.", "Its first line must be: case,patient,T1,T1ce,T2,FLAIR,truth"
        )
    cases = []
    for row in rows:
        values = {column: (row[name] or "").strip() for column, name in columns.items()}
        if not any(values.values()):
            continue
        files = {column: _beside(path, values[column]) for column in (*SEQUENCES, "truth") if values[column]}
        images = {sequence: ImageSource(files[sequence]) for sequence in SEQUENCES if sequence in files}
        patient = values.get("patient") or patient_of(values["case"])
        cases.append(Case(values["case"], patient, images, files.get("truth"), BRATS_LABELS))
    return Dataset(path, "CSV", tuple(cases))


def _column_named(name: str) -> str:
    plain = name.strip().lower()
    return plain if plain in ("case", "patient", "truth") else sequence_named(plain) or plain


def _beside(path: Path, entry: str) -> Path:
    """A relative path starts from the CSV's folder and stays below it."""
    if ".." in Path(entry).parts:
        raise DatasetError(f"{path} names {entry}, which leaves the CSV's folder.", "Write the whole path instead.")
    return path.parent / entry
