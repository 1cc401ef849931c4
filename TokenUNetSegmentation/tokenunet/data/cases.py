"""Labeled patients: paths of their files, and data loading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk

from tokenunet.core.errors import DatasetError, UnexpectedLabelsError
from tokenunet.core.label_schemes import BRATS_LABELS, LABEL_SCHEMES, LabelValues
from tokenunet.core.sequences import SEQUENCES, SequenceName
from tokenunet.io.files import sha256_of
from tokenunet.study.image_files import read_image
from tokenunet.study.scans import Scan, Study, as_scan, study_of

Severity = Literal["error", "warning"]
_MOST_ROUNDING = 0.05
"""Largest distance of a stored label from a whole number; that of interpolated labels is larger."""


@dataclass(frozen=True)
class ImageSource:
    """File of a scan.

    Attributes:
        path: Path of the file.
        channel: Index of the image in a 4-D file, from 0; None for a 3-D file.
    """

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class Case:
    """One patient at one time.

    Attributes:
        name: Name of the case, unique in the dataset and valid as the name of a file.
        patient: Name of the patient; all cases of a patient belong to the same fold.
        images: Files by sequence, without sequences that were not found.
        truth: Path of the reference segmentation, None if there is none.
        label_values: Exclusive label by value in the reference segmentation.
    """

    name: str
    patient: str
    images: dict[SequenceName, ImageSource]
    truth: Path | None
    label_values: LabelValues


@dataclass(frozen=True)
class DatasetFinding:
    """Error or warning about a dataset.

    Attributes:
        code: Stable identifier for programs.
        severity: Whether it prevents training (``error``) or not (``warning``).
        case: Name of the case; empty if the finding is about the whole dataset.
        message: Description in sentences.
    """

    code: str
    severity: Severity
    case: str
    message: str


@dataclass(frozen=True)
class Dataset:
    """Cases of a folder or of a CSV file.

    Attributes:
        folder: Folder that was read, or path of the CSV file.
        layout: Name of the layout, such as ``BraTS 2023``.
        cases: Cases, sorted by name.
        findings: Errors and warnings from the search for cases.
        channels: Sequences that a network is trained on; cases have no others.
        label_scheme: Name of the label scheme if the user or a ``dataset.json`` defines it; empty if it is guessed.
    """

    folder: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[DatasetFinding, ...] = ()
    label_scheme: str = ""
    channels: tuple[SequenceName, ...] = SEQUENCES

    @property
    def patients(self) -> tuple[str, ...]:
        """Names of the patients, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

    @property
    def grouping(self) -> dict[str, tuple[str, ...]]:
        """Names of the cases of each patient; those of one patient stay in one fold."""
        return {p: tuple(case.name for case in self.cases if case.patient == p) for p in self.patients}


def read_scans(case: Case, channels: Sequence[SequenceName] = SEQUENCES) -> Study:
    """Read and check the scans of a case, every file once.

    Args:
        case: Labeled patient.
        channels: Sequences to read; all are required.

    Raises:
        InputError: If a scan cannot be read or used; see `tokenunet.study.scans.read_scan`.
    """
    images: dict[Path, tuple[sitk.Image, str]] = {}
    scans: dict[SequenceName, Scan] = {}
    for sequence in (s for s in channels if s in case.images):
        source = case.images[sequence]
        if source.path not in images:
            images[source.path] = read_image(source.path), sha256_of(source.path)
        image, sha256 = images[source.path]
        name = str(source.path)
        if source.channel is not None:
            count = image.GetSize()[3] if image.GetDimension() == 4 else 1
            if count <= source.channel:
                raise DatasetError(f"{name} has {count} channels, but dataset.json names more.", "Correct either.")
            image = image[..., source.channel] if image.GetDimension() == 4 else image
            name = f"{name}, channel {source.channel}"
        scans[sequence] = as_scan(image, name, sha256)
    return study_of(scans, "T1ce" if "T1ce" in scans else None, channels)


def read_truth(case: Case) -> sitk.Image:
    """Read the ground truth of a case and convert it to BraTS's labels.

    Args:
        case: Labeled patient.

    Returns:
        3-D image, uint8, with the exclusive labels NCR = 1, ED = 2 and ET = 4 for every label scheme.

    Raises:
        DatasetError: If there is no ground truth, or it is not a 3-D image.
        UnexpectedLabelsError: If it has values that are not in the case's label scheme.
        UnreadableImageError: If the file is missing, damaged or of unknown format.
    """
    return read_truth_and_values(case)[0]


def read_truth_and_values(case: Case) -> tuple[sitk.Image, frozenset[int]]:
    """Read the ground truth of a case as `read_truth` does, together with the values in its file.

    Args:
        case: Labeled patient.

    Returns:
        The image as from `read_truth`, and the values before conversion.

    Raises:
        InputError: If the file cannot be read or used, as in `read_truth`.
    """
    if case.truth is None:
        raise DatasetError(f"{case.name} has no ground truth.", "Add its segmentation, or remove the case.")
    image = read_image(case.truth)
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DatasetError(f"{case.truth} is not a 3-D image with one value per voxel.", "Export labels, not layers.")
    labels = np.zeros(image.GetSize()[::-1], np.uint8)
    array = sitk.GetArrayViewFromImage(image)
    found = {float(value): _whole(value) for value in np.unique(array)}
    _check_values(case, set(found.values()))
    for value, whole in found.items():
        if case.label_values[int(whole)]:
            labels[array == value] = case.label_values[int(whole)]
    truth = sitk.GetImageFromArray(labels)
    truth.CopyInformation(image)
    return truth, frozenset(int(whole) for whole in found.values())


def _whole(value: float) -> float:
    """Round a label to the whole number that it stands for; files with a scale factor may store 4 as 3.996."""
    return float(round(value)) if np.isfinite(value) and abs(value - round(value)) < _MOST_ROUNDING else float(value)


def _check_values(case: Case, found: set[float]) -> None:
    strange = sorted(value for value in found if value not in case.label_values)
    if strange:
        shown = ", ".join(f"{value:g}" for value in strange[:5]) + (" and more" if len(strange) > 5 else "")
        cavity = " (from BraTS 2024 on, 4 is the resection cavity)" if strange == [4] else ""
        fitting = [name for name, values in LABEL_SCHEMES.items() if name != "brats" and found <= set(values)]
        say = f" If they are of another scheme, pass --labels {' or --labels '.join(fitting)}." if fitting else ""
        raise UnexpectedLabelsError(
            f"{case.truth} holds the unexpected label {'value' if len(strange) == 1 else 'values'} {shown}{cavity}.",
            f"Known are {', '.join(map(str, case.label_values))}.{say}",
        )
    if case.label_values == BRATS_LABELS and {3, 4} <= found:
        raise UnexpectedLabelsError(
            f"{case.truth} holds both 3 and 4, of which only one can be enhancing tumor.",
            "From BraTS 2024 on, 4 is the resection cavity: if so, pass --labels brats2024.",
        )


def dataset_to_json(dataset: Dataset) -> dict[str, Any]:
    """Convert a dataset to types of JSON, with absolute paths and without its findings.

    Args:
        dataset: Dataset to convert.
    """
    return {
        "folder": str(dataset.folder.absolute()),
        "layout": dataset.layout,
        "label_scheme": dataset.label_scheme,
        "channels": list(dataset.channels),
        "cases": [
            {
                "name": case.name,
                "patient": case.patient,
                "images": {
                    sequence: {"path": str(source.path.absolute()), "channel": source.channel}
                    for sequence, source in case.images.items()
                },
                "truth": str(case.truth.absolute()) if case.truth else None,
                "label_values": {str(value): label for value, label in case.label_values.items()},
            }
            for case in dataset.cases
        ],
    }


def dataset_from_json(values: Mapping[str, Any]) -> Dataset:
    """Create a dataset from the values of `dataset_to_json`.

    Args:
        values: Parsed JSON.
    """
    channels = tuple(values.get("channels", SEQUENCES))
    cases = tuple(
        Case(
            name=case["name"],
            patient=case["patient"],
            images={s: ImageSource(Path(i["path"]), i["channel"]) for s, i in case["images"].items()},
            truth=Path(case["truth"]) if case["truth"] else None,
            label_values={int(value): label for value, label in case["label_values"].items()},
        )
        for case in values["cases"]
    )
    return Dataset(
        Path(values["folder"]), values["layout"], cases, label_scheme=values.get("label_scheme", ""), channels=channels
    )
