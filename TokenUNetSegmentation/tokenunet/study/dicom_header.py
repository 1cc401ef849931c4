"""What a DICOM file says of itself, read with SimpleITK alone."""

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.dicom_tags import DicomTags, dicom_tags, number_in
from tokenunet.study.scans import READING, check_name

MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # MR converted to enhanced
}
_PER_FRAME = struct.pack("<HH", 0x5200, 0x9230)
_PIXELS = struct.pack("<HH", 0x7FE0, 0x10)
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
    """Adds what an enhanced file keeps in sequences of groups, which SimpleITK does not pass on."""
    data = header.file.read_bytes()
    groups = max(data.find(_PER_FRAME), 132)  # a preview's pixels may stand before them
    data = data[: data.find(_PIXELS, groups)]

    def texts(group: int, element: int) -> list[str]:
        return [value.decode("latin-1").strip(" \0") for value in _nested(data, group, element)]

    def first(group: int, element: int, kind: Callable[[bytes], float | None]) -> float | None:
        return next((kind(value) for value in _nested(data, group, element)), None)

    tags = header.tags
    # Only the first after the start of its own group: makers' private groups hold positions of their own.
    orientation = _first_in_each(data, (0x20, 0x9116), (0x20, 0x37))
    spacing = _first_in_each(data, (0x28, 0x9110), (0x28, 0x30))
    slopes = _first_in_each(data, (0x28, 0x9145), (0x28, 0x1053))
    same_for_all = len(set(orientation)) == 1 and len(set(spacing)) == 1
    positions = [_numbers(text) for text in _first_in_each(data, (0x20, 0x9113), (0x20, 0x32))]
    complete = same_for_all and len(positions) == frames and all(len(position) == 3 for position in positions)
    return replace(
        header,
        positions=np.stack(positions) if complete else np.empty((0, 3)),
        orientation=_vectors(orientation[0]) if complete else np.empty((0, 3)),
        pixel_spacing=(float(_numbers(spacing[0])[1]), float(_numbers(spacing[0])[0])) if complete else (0.0, 0.0),
        tags=replace(
            tags,
            echo_time=tags.echo_time or first(0x18, 0x9082, _double),
            repetition_time=tags.repetition_time or first(0x18, 0x80, lambda value: number_in(value.decode("latin-1"))),
            inversion_time=tags.inversion_time or first(0x18, 0x9079, _double),
            contrast_agent=tags.contrast_agent or next(iter(texts(0x18, 0x10)), ""),
        ),
        frames=frames,
        evenly_scaled=len(set(slopes)) <= 1,
    )


def _first_in_each(data: bytes, sequence: tuple[int, int], tag: tuple[int, int]) -> list[str]:
    """The text of a tag's first occurrence in each of the sequences of that tag."""
    parts = data.split(struct.pack("<HH", *sequence))[1:]
    values = (next(iter(_nested(part, *tag)), None) for part in parts)
    return [value.decode("latin-1").strip(" \0") for value in values if value is not None]


def _nested(data: bytes, group: int, element: int) -> list[bytes]:
    """Values of a tag at any depth, in the order of the file; little endian, with or without a named type."""
    tag = struct.pack("<HH", group, element)
    values: list[bytes] = []
    for match in re.finditer(re.escape(tag) + rb"(?:(?:DS|FD|LO)(..)|(..)\0\0)", data, re.DOTALL):
        length = struct.unpack("<H", match[1] or match[2])[0]
        values.append(data[match.end() : match.end() + length])
    return values


def _double(value: bytes) -> float | None:
    return (struct.unpack("<d", value[:8])[0] or None) if len(value) >= 8 else None


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
