"""Header of a DICOM file: SimpleITK reads it, pydicom the functional groups of enhanced files."""

import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.dicom_tags import DicomTags, dicom_tags, number_in
from tokenunet.study.scans import READING, check_name

if TYPE_CHECKING:
    from pydicom import Dataset

MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # MR converted to enhanced
}
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_AGENTS = "ContrastBolusAgentSequence"
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, struct.error)
"""What pydicom raises for damaged headers."""
_DICOM_ENDINGS = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class DicomHeader:
    """One file.

    Attributes:
        positions: center of the first voxel of each frame, LPS mm, (frames, 3); empty where it says none.
        orientation: directions of rows and of columns, (2, 3); empty where it says none.
        pixel_spacing: between columns and between rows, in mm.
        size: columns and rows.
        distinctions: by what image of the same place may differ, a text for people each, by name.
        frames: number of images in it.
        evenly_scaled: whether all of them are rescaled alike.
    """

    file: Path
    series_uid: str
    instance: int
    positions: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing: tuple[float, float]
    size: tuple[int, int]
    distinctions: dict[str, str]
    tags: DicomTags
    frames: int = 1
    evenly_scaled: bool = True


def read_header(file: Path) -> DicomHeader | None:
    """The header of a DICOM image; None where the file is none.

    Raises:
        UnreadableImageError: where it is an MR image, or called one, and is damaged.
    """
    check_name(file)
    with file.open("rb") as opened:
        start = opened.read(1024)
    is_dicom = start[128:132] == b"DICM"
    if not is_dicom and start[:2] != b"\x08\x00" and not file.name.lower().endswith(_DICOM_ENDINGS):
        return None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        with READING:
            reader.ReadImageInformation()
    except RuntimeError as error:
        media_class = re.search(rb"\x02\x00\x02\x00UI..([0-9.]+)", start, re.DOTALL)
        if (media_class[1].decode() in MR_CLASSES) if media_class else file.name.lower().endswith(_DICOM_ENDINGS):
            raise UnreadableImageError(
                f"{file} is damaged or cut off.",
                "Copy or export the study again, or take the file away if its series is not needed.",
            ) from error
        return None
    values = {key: _clean(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys()}
    header = _header_of(file, values)
    frames = int(number_in(values.get("0028|0008", "")) or 1)
    return header if len(header.positions) == 1 and frames == 1 else _with_frames(header, frames)


def _header_of(file: Path, values: dict[str, str]) -> DicomHeader:
    def text(tag: str) -> str:
        return values.get(tag, "")

    tags = dicom_tags(text)
    spacing = _numbers(text("0028|0030"))
    return DicomHeader(
        file=file,
        series_uid=text("0020|000e"),
        instance=int(number_in(text("0020|0013")) or 0),
        positions=_vectors(text("0020|0032")),
        orientation=_vectors(text("0020|0037")),
        pixel_spacing=(float(spacing[1]), float(spacing[0])) if len(spacing) == 2 else (0.0, 0.0),
        size=(int(number_in(text("0028|0011")) or 0), int(number_in(text("0028|0010")) or 0)),
        distinctions={
            "echo time": f"{text('0018|0081')} ms",
            "image type": "/".join(tags.image_type),
            "b-value": text("0018|9087"),
            "inversion time": f"{text('0018|0082')} ms",
            "temporal position": text("0020|0100"),
            "acquisition": text("0020|0012"),
        },
        tags=tags,
    )


def _with_frames(header: DicomHeader, frames: int) -> DicomHeader:
    """Add what an enhanced file keeps in functional groups, which SimpleITK does not pass on."""
    groups, agents = _nested(header.file)
    orientations = _values(groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacings = _values(groups, "PixelMeasuresSequence", "PixelSpacing")
    positions = _values(groups, "PlanePositionSequence", "ImagePositionPatient")
    slopes = _values(groups, "PixelValueTransformationSequence", "RescaleSlope")
    complete = (
        {len(orientation) for orientation in orientations} == {6}
        and {len(spacing) for spacing in spacings} == {2}
        and {len(position) for position in positions} == {3}
        and len(set(orientations)) == len(set(spacings)) == 1
        and len(positions) == frames
    )

    def first(sequence: str, keyword: str) -> float | None:
        return next((value[0] or None for value in _values(groups, sequence, keyword) if value), None)

    tags = header.tags
    return replace(
        header,
        positions=np.array(positions) if complete else np.empty((0, 3)),
        orientation=np.reshape(orientations[0], (2, 3)) if complete else np.empty((0, 3)),
        pixel_spacing=(spacings[0][1], spacings[0][0]) if complete else (0.0, 0.0),
        tags=replace(
            tags,
            echo_time=tags.echo_time or first("MREchoSequence", "EffectiveEchoTime"),
            repetition_time=tags.repetition_time or first("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
            inversion_time=tags.inversion_time or first("MRModifierSequence", "InversionTimes"),
            contrast_agent=tags.contrast_agent or next(filter(None, agents), ""),
        ),
        frames=frames,
        evenly_scaled=len(set(slopes)) <= 1,
    )


def _nested(file: Path) -> tuple[list["Dataset"], list[str]]:
    """Read an enhanced file's functional groups, and the names of contrast agents; nothing where pydicom cannot."""
    from pydicom import dcmread

    try:
        whole = dcmread(file, stop_before_pixels=True, force=True, specific_tags=[*_GROUPS, _AGENTS])
        agents = [str(item.get("ContrastBolusAgent", "")) for item in whole.get(_AGENTS) or ()]
        return [group for name in _GROUPS for group in whole.get(name) or ()], agents
    except _UNREADABLE:
        return [], []


def _values(groups: Sequence["Dataset"], sequence: str, keyword: str) -> list[tuple[float, ...]]:
    """Return an attribute's numbers in each group that has that sequence; none for what is no number."""
    found: list[tuple[float, ...]] = []
    for group in groups:
        try:
            values = [item.get(keyword) for item in group.get(sequence) or ()]
            numbers = [tuple(float(number) for number in np.atleast_1d(value)) for value in values if value is not None]
        except _UNREADABLE:
            numbers = [()]
        found += [value if np.isfinite(value).all() else () for value in numbers]
    return found


def _numbers(text: str) -> NDArray[np.float64]:
    try:
        return np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return np.empty(0)


def _vectors(text: str) -> NDArray[np.float64]:
    """(vectors, 3); none where the text holds anything but whole vectors."""
    numbers = _numbers(text)
    return numbers.reshape(-1, 3) if numbers.size % 3 == 0 and np.isfinite(numbers).all() else np.empty((0, 3))


def _clean(text: str) -> str:
    """Text of any character set: UTF-8, or else Latin-1, which SimpleITK passes on as escaped bytes."""
    data = text.encode("utf-8", "surrogateescape")
    with suppress(UnicodeDecodeError):
        return data.decode().strip(" \0")
    return data.decode("latin-1").strip(" \0")
