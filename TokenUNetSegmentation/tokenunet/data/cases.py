"""Labeled patients: where their files lie, and how to read them."""

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
"""Distance of a label's stored value from a whole number; interpolated labels are further off."""


@dataclass(frozen=True)
class ImageSource:
    """A scan's file.

    Attributes:
        path: of the file.
        channel: which image of a 4-D file, from 0; None for a 3-D one.
    """

    path: Path
    channel: int | None = None


@dataclass(frozen=True)
class Case:
    """One patient at one time.

    Attributes:
        name: unlike all others of the dataset; can name a file.
        patient: whose it is; cases of the same patient must not be split.
        images: by sequence; a sequence that was not found is missing.
        truth: the expert's segmentation, None where there is none.
        label_values: what its values mean.
    """

    name: str
    patient: str
    images: dict[SequenceName, ImageSource]
    truth: Path | None
    label_values: LabelValues


@dataclass(frozen=True)
class DatasetFinding:
    """Something that is wrong or strange in a dataset.

    Attributes:
        code: stable name for programs.
        severity: with an error, nothing can be trained.
        case: the case's name; empty where it is about the dataset.
        message: a sentence for people.
    """

    code: str
    severity: Severity
    case: str
    message: str


@dataclass(frozen=True)
class Dataset:
    """The cases of a folder or of a CSV.

    Attributes:
        folder: which was read; for a CSV, its path.
        layout: what kind of folder it is, such as ``BraTS 2023``.
        cases: sorted by name.
        findings: what could not be understood when looking for cases.
        channels: Sequences that a network is trained on; a case holds no others.
        label_scheme: Name of the labels' scheme if somebody or a ``dataset.json`` says it; empty if it is guessed.
    """

    folder: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[DatasetFinding, ...] = ()
    label_scheme: str = ""
    channels: tuple[SequenceName, ...] = SEQUENCES

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))


def read_scans(case: Case, channels: Sequence[SequenceName] = SEQUENCES) -> Study:
    """Read and check the scans of a case, each file once.

    Args:
        case: Labeled patient.
        channels: Sequences that are needed; no others are read.

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
    """The expert's segmentation: 3-D, uint8, exclusive labels NCR = 1, ED = 2, ET = 4 whatever the file's scheme.

    Raises:
        DatasetError: where there is none, or it is not a 3-D image.
        UnexpectedLabelsError: where it holds values that the case's scheme does not know.
        UnreadableImageError: where the file is absent, damaged or of unknown format.
    """
    return read_truth_and_values(case)[0]


def read_truth_and_values(case: Case) -> tuple[sitk.Image, frozenset[int]]:
    """As `read_truth`, with the values that the file itself holds."""
    if case.truth is None:
        raise DatasetError(f"{case.name} has no truth.", "Add its segmentation, or take the case out.")
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
    """Return the whole number that a value is meant to be; files with a scale hold 3.996 for 4."""
    return float(round(value)) if np.isfinite(value) and abs(value - round(value)) < _MOST_ROUNDING else float(value)


def _check_values(case: Case, found: set[float]) -> None:
    strange = sorted(value for value in found if value not in case.label_values)
    if strange:
        shown = ", ".join(f"{value:g}" for value in strange[:5]) + (" and more" if len(strange) > 5 else "")
        cavity = " (from BraTS 2024 on, 4 is the resection cavity)" if strange == [4] else ""
        fitting = [name for name, values in LABEL_SCHEMES.items() if name != "brats" and found <= set(values)]
        say = f" If they are of another scheme, say --labels {' or --labels '.join(fitting)}." if fitting else ""
        raise UnexpectedLabelsError(
            f"{case.truth} holds the unexpected label {'value' if len(strange) == 1 else 'values'} {shown}{cavity}.",
            f"Known are {', '.join(map(str, case.label_values))}.{say}",
        )
    if case.label_values == BRATS_LABELS and {3, 4} <= found:
        raise UnexpectedLabelsError(
            f"{case.truth} holds both 3 and 4, of which only one can be enhancing tumor.",
            "From BraTS 2024 on, 4 is the resection cavity: if so, say --labels brats2024.",
        )


def dataset_to_json(dataset: Dataset) -> dict[str, Any]:
    """The dataset as JSON takes it, with absolute paths; findings are left out."""
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
    """The inverse of `dataset_to_json`."""
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
