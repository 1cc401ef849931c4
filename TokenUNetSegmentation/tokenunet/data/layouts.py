"""Search for labeled patients in folders of common layouts, which `read_dataset` recognizes.

===============  =====================================================================================
BraTS 2018-2021  a folder per patient, ``X/X_t1ce.nii.gz`` and ``X/X_seg.nii.gz``, perhaps below HGG and LGG
BraTS 2023       a folder per patient and time, ``BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1c.nii.gz``
FeTS             as BraTS, or ``patient/time/patient_time_brain_t1c.nii.gz``
MU-Glioma-Post   ``PatientID_0003/Timepoint_1/PatientID_0003_Timepoint_1_brain_t1c.nii.gz``, labels of BraTS 2024
UPENN-GBM        ``images_structural/X_11/X_11_T1GD.nii.gz``, ``images_segm/X_11_segm.nii.gz``
BIDS             ``sub-01/ses-01/anat/…_ce-gadolinium_T1w.nii.gz``, ground truths next to them or in derivatives
MSD              ``dataset.json``, ``imagesTr/X.nii.gz`` with a channel per sequence, ``labelsTr/X.nii.gz``
nnU-Net          ``dataset.json``, ``imagesTr/X_0000.nii.gz`` and so on, ``labelsTr/X.nii.gz``
CSV              columns ``T1``, ``T1ce``, ``T2``, ``FLAIR`` and those of `_CSV_COLUMNS`
===============  =====================================================================================
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenunet.core.channels import channels_named
from tokenunet.core.errors import AmbiguousSequenceError, DatasetError, InputError
from tokenunet.core.label_names import labels_of
from tokenunet.core.label_schemes import BRATS_2023_LABELS, BRATS_LABELS, LABEL_SCHEMES, LabelValues, described
from tokenunet.core.sequences import SEQUENCES, SequenceName, sequence_named
from tokenunet.data.cases import Case, Dataset, DatasetFinding, ImageSource
from tokenunet.data.ground_truth import find_ground_truth
from tokenunet.data.patients import names_and_patients, patients_of_names, same_spelling
from tokenunet.data.separate_truths import separate_truths
from tokenunet.io.files import SAFE_NAME, broken_link_text, broken_links, is_archive
from tokenunet.io.tables import read_patient_table
from tokenunet.study.file_names import mixed_names
from tokenunet.study.image_files import is_image_file, is_in_image_format
from tokenunet.study.versions import choose_by_name

_DEEPEST = 3
"""Depth of the search for patients below the folder of the dataset."""

_CSV_COLUMNS = ("case", "patient", "truth")
"""Columns of a CSV file besides those of the sequences; ``patient`` is optional."""


def read_dataset(folder: Path, label_scheme: str = "", channels: tuple[SequenceName, ...] = SEQUENCES) -> Dataset:
    """Search for the cases of a folder in any of the layouts, or of a CSV file, without reading images.

    Args:
        folder: Folder of the patients, or path of a CSV file.
        label_scheme: Name of the label scheme in `LABEL_SCHEMES`; if empty, it is taken from a ``dataset.json`` or
            guessed from the names of the files.
        channels: Sequences that a network is trained on; others are ignored.

    Raises:
        DatasetError: If there are no cases, or a file that describes the dataset is invalid.
    """
    if label_scheme and label_scheme not in LABEL_SCHEMES:
        raise DatasetError(
            f"There is no label scheme {label_scheme!r}.", f"Choose from {', '.join(map(described, LABEL_SCHEMES))}."
        )
    folder = folder.resolve()
    try:
        if folder.is_file():
            dataset = _read_csv(folder, channels)
        elif not folder.is_dir():
            raise DatasetError(f"There is no folder or CSV {folder}.", "Check the path.")
        elif (folder / "imagesTr").is_dir():
            dataset = _read_described(folder, channels)
        else:
            dataset = _read_patient_folders(folder, channels)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be read: {error.strerror or error}.", "Check its permissions.") from error
    if not dataset.cases and not dataset.findings:
        raise DatasetError(
            f"No patients were found in {folder}.",
            "Known are BraTS, FeTS, MSD, nnU-Net and BIDS folders, the open collections, and a CSV with the columns "
            f"{', '.join(('case', *SEQUENCES, 'truth'))}.",
        )
    _check_names(dataset)
    patients = same_spelling([case.patient for case in dataset.cases])
    cases = [
        replace(case, patient=patient, label_values=LABEL_SCHEMES.get(label_scheme, case.label_values))
        for case, patient in zip(dataset.cases, patients, strict=True)
    ]
    return replace(
        dataset,
        cases=tuple(sorted(cases, key=lambda case: case.name)),
        label_scheme=label_scheme or dataset.label_scheme,
        channels=channels,
    )


def _check_names(dataset: Dataset) -> None:
    """Check that names of cases can name files, also on file systems that ignore case."""
    for name, count in Counter(case.name.lower() for case in dataset.cases).items():
        if count > 1:
            raise DatasetError(f"{dataset.folder} has {count} cases named {name}.", "Give every case its own name.")
    for case in dataset.cases:
        if not (SAFE_NAME.fullmatch(case.name) and case.name.isascii()):
            raise DatasetError(
                f"{case.name!r} in {dataset.folder} cannot name a case.",
                "Use letters from A to Z, digits, blanks and the signs _ . + -, and begin with a letter or digit.",
            )


def _read_patient_folders(root: Path, channels: tuple[SequenceName, ...]) -> Dataset:
    known = channels_named(channels)
    apart = separate_truths(root)
    cases, findings, layouts, without_truth = [], [], set(), []
    folders = [found for top in (apart.scans if apart else [root]) for found in _folders_with_scans(top, _DEEPEST)]
    named = names_and_patients([folder.relative_to(root).parts for folder in folders], root.name)
    for folder, (name, patient) in zip(folders, named, strict=True):
        files = sorted(path for path in folder.iterdir() if is_in_image_format(path))
        layout, values = _published_as(folder, root, name, files)
        layouts.add(apart.layout if apart else layout)
        try:
            candidates = files if apart is None else list(filter(is_in_image_format, apart.truths_of(folder)))
            truth, other_truths = find_ground_truth(folder, candidates)
            drawn = {truth, *other_truths}
            scans = [p for p in files if is_image_file(p) and p not in drawn]
            others = {path: channel for path in scans if (channel := known.named(path.name)) is not None}
            by_name = choose_by_name(
                folder, [p for p in scans if p not in others], [s for s in SEQUENCES if s in channels]
            )
        except AmbiguousSequenceError as error:
            message = f"{error} Leave only one of them in the folder."
            findings.append(DatasetFinding(error.code, "error", name, message))
            continue
        if apart and apart.only_with_truth and truth is None:
            without_truth.append(name)
            continue
        if finding := by_name.finding(folder):
            findings.append(DatasetFinding(finding.code, "warning", name, finding.message))
        findings += _mixed_patients(name, by_name.files, truth)
        if truth and other_truths:
            message = f"{truth.name} is the ground truth, and not {', '.join(p.name for p in other_truths)}."
            findings.append(DatasetFinding("passed_over", "warning", name, message))
        files_by_channel = by_name.files | {channel: path for path, channel in others.items()}
        images = {c: ImageSource(files_by_channel[c]) for c in channels if c in files_by_channel}
        cases.append(Case(name, patient, images, truth, values))
    if without_truth:
        message = f"{len(without_truth)} of {len(folders)} cases have no ground truth and are excluded."
        findings.append(DatasetFinding("missing_truth", "warning", "", message))
    findings += [DatasetFinding("broken_link", "warning", "", broken_link_text(link)) for link in broken_links(root)]
    for path in (path for path in sorted(root.iterdir()) if is_archive(path)):
        findings.append(DatasetFinding("ignored_file", "warning", "", f"{path} was ignored: unpack it into a folder."))
    return Dataset(root, " and ".join(sorted(layouts)), tuple(cases), tuple(findings))


def _mixed_patients(case: str, scans: Mapping[SequenceName, Path], truth: Path | None) -> list[DatasetFinding]:
    """Return a warning if the scans of a case, or its ground truth, seem to be of several patients."""
    found = mixed_names(scans) or (mixed_names({**scans, "ground truth": truth}) if truth else [])
    return [DatasetFinding(finding.code, "warning", case, finding.message) for finding in found]


def _published_as(folder: Path, root: Path, name: str, files: Sequence[Path]) -> tuple[str, LabelValues]:
    """Return the layout that matches the names of a patient's folder, and its label values."""
    names = [path.name for path in files]
    if any(re.search(r"_Timepoint_\d+_brain_t1c\.", n) for n in names):
        return "MU-Glioma-Post", LABEL_SCHEMES["brats2024"]
    since_2023 = any(re.search(r"-(t1c|t1n|t2f|t2w)\.", n) for n in names)
    by_time = folder != root and any(n.startswith(f"{folder.parent.name}_{folder.name}") for n in names)
    layout = "FeTS" if by_time or name.startswith("FeTS") else "BraTS 2023" if since_2023 else "BraTS 2018-2021"
    return layout, BRATS_2023_LABELS if since_2023 else BRATS_LABELS


def _folders_with_scans(folder: Path, depth: int) -> Iterator[Path]:
    """Iterate over the folders with scans down to ``depth``, which also ends cycles of links."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if any(is_in_image_format(entry) and sequence_named(entry.name) for entry in entries):
        yield folder
    elif depth:
        for entry in entries:
            if entry.is_dir():
                yield from _folders_with_scans(entry, depth - 1)


def _read_described(folder: Path, wanted: tuple[SequenceName, ...]) -> Dataset:
    """Read a dataset that a ``dataset.json`` describes, as in MSD and both versions of nnU-Net."""
    description = _read_description(folder / "dataset.json")
    channels = _sequence_channels(description, folder / "dataset.json", wanted)
    try:
        values = labels_of(description["labels"])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{folder / 'dataset.json'} has labels of an unknown form.", "See nnU-Net's.") from error
    ending = str(description.get("file_ending", ".nii.gz"))
    files = sorted(p for p in (folder / "imagesTr").iterdir() if p.name.endswith(ending) and is_in_image_format(p))
    of_case: dict[str, list[Path]] = {}
    numbered = re.compile(rf"(.+)_\d{{4}}{re.escape(ending)}")
    separate = "channel_names" in description or (bool(files) and all(numbered.fullmatch(p.name) for p in files))
    for path in files:
        match = numbered.fullmatch(path.name) if separate else None
        of_case.setdefault(match[1] if match else path.name.removesuffix(ending), []).append(path)
    cases = []
    for (name, paths), patient in zip(of_case.items(), patients_of_names(list(of_case)), strict=True):
        images: dict[SequenceName, ImageSource] = {}
        for sequence, channel in channels.items():
            path = folder / "imagesTr" / f"{name}_{channel:04d}{ending}"
            if not separate:
                images[sequence] = ImageSource(paths[0], channel)
            elif path in paths:
                images[sequence] = ImageSource(path)
        truth = folder / "labelsTr" / f"{name}{ending}"
        cases.append(Case(name, patient, images, truth if truth.is_file() else None, values))
    return Dataset(folder, "nnU-Net" if separate else "MSD", tuple(cases), label_scheme="dataset.json")


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path.parent} has imagesTr, but no dataset.json.", "Copy it there, too.") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not valid JSON.", "Copy it again.") from error
    if not isinstance(description, dict) or not isinstance(description.get("labels"), dict):
        raise DatasetError(f"{path} names no labels.", "Add them as nnU-Net or MSD do.")
    return description


def _sequence_channels(
    description: Mapping[str, Any], path: Path, wanted: tuple[SequenceName, ...]
) -> dict[SequenceName, int]:
    names = description.get("channel_names") or description.get("modality")
    if not isinstance(names, dict):
        raise DatasetError(f"{path} names no channels.", "Add channel_names (nnU-Net) or modality (MSD).")
    channels: dict[SequenceName, int] = {}
    for number, name in names.items():
        sequence = channels_named(wanted).find(str(name)) or sequence_named(str(name))
        if sequence in channels:
            raise DatasetError(f"{path} has two channels for {sequence}.", "Name only one channel so.")
        if sequence:
            channels[sequence] = int(number)
    missing = [sequence for sequence in wanted if sequence not in channels]
    if missing:
        raise DatasetError(
            f"{path} names no channel for {', '.join(missing)}; it has {', '.join(map(str, names.values()))}.",
            f"{', '.join(wanted)} are needed.",
        )
    return {sequence: channels[sequence] for sequence in wanted}


def _read_csv(path: Path, channels: tuple[SequenceName, ...]) -> Dataset:
    if is_archive(path):
        raise DatasetError(f"{path} is an archive.", "Unpack it, and choose the folder.")
    try:
        table = read_patient_table(path, _CSV_COLUMNS, channels_named(channels))
        missing = [name for name in ("case", *channels, "truth") if name not in table.columns]
        if missing:
            raise DatasetError(
                f"{path} has no column {', '.join(missing)}.",
                f"Its first line must be: case,patient,{','.join(channels)},truth",
            )
        cases: list[Case] = []
        findings: list[DatasetFinding] = []
        for row in table.rows:
            files = {column: table.file(row[column]) for column in (*channels, "truth") if row[column]}
            scans = {channel: file for channel, file in files.items() if channel != "truth"}
            images = {channel: ImageSource(file) for channel, file in scans.items()}
            findings += _mixed_patients(row["case"], scans, files.get("truth"))
            cases.append(Case(row["case"], row.get("patient", ""), images, files.get("truth"), BRATS_LABELS))
    except InputError as error:
        raise DatasetError(str(error), error.hint) from error
    by_name = patients_of_names([case.name for case in cases])
    cases = [replace(case, patient=case.patient or patient) for case, patient in zip(cases, by_name, strict=True)]
    if table.ignored:
        message = f"Columns of {path.name} that were ignored: {', '.join(table.ignored)}."
        findings.append(DatasetFinding("unknown_columns", "warning", "", message))
    return Dataset(path, "CSV", tuple(cases), tuple(findings))
