"""Headers of DICOM files of one image or of many frames."""

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import UnreadableImageError
from tokenunet.study.dicom_groups import FunctionalGroups
from tokenunet.study.dicom_tags import DicomTags, dicom_tags, number_in
from tokenunet.study.image_files import READING, check_name

MR_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # MR converted to enhanced
}
"""SOP classes of MR images."""
_TIMING = "MRTimingAndRelatedParametersSequence"
_CHARACTER_SET = "0008|0005"
_DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
_SYNTAXES = re.compile(r"1\.2\.840\.10008\.1\.2(\.1|\.1\.99|\.2|\.5|\.4\.(5[017]|70|8[01]|9[01]))?")
"""UIDs of the transfer syntaxes that SimpleITK reads."""
_WESTERN = {"", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192"}
"""Character sets that are decoded without pydicom; UTF-8 and Latin-1 are often mistaken for each other."""


@dataclass(frozen=True)
class DicomHeader:
    """Header of one DICOM file.

    Attributes:
        file: File that the header is of.
        series_uid: SeriesInstanceUID.
        instance: Number of the image in its series.
        positions: Center of the first voxel of each frame, LPS mm, (frames, 3); empty if missing.
        orientation: Directions of rows and of columns, (2, 3); empty if missing.
        pixel_spacing: Spacing between columns and between rows, in mm; 0 if missing.
        size: Number of columns and of rows.
        distinctions: Readable value by name of each property that images of the same place may differ in.
        tags: Tags that describe the acquisition.
        frames: Number of images in the file.
        thickness: Thickness of a slice, in mm; 0 if missing.
        slice_spacing: Stated distance between the centers of slices, in mm; 0 if missing.
        color: Whether the image is in color.
        problem: Sentence that says why the pixels cannot be read; empty if they can.
        order: Numbers that follow the order of acquisition, each 0 if missing: of the image, date and time, content
            time, and trigger time.
        rescales: Slope and intercept of each frame, if they differ between the frames.
        frame: Index of the frame, if this is the header of one frame of several.
        frame_distinctions: Distinctions of each frame.
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
    thickness: float = 0.0
    slice_spacing: float = 0.0
    color: bool = False
    problem: str = ""
    order: tuple[float, ...] = ()
    rescales: tuple[tuple[float, ...], ...] = ()
    frame: int | None = None
    frame_distinctions: tuple[dict[str, str], ...] = ()

    @property
    def image(self) -> str:
        """Name of the file, with the number of the frame if this is the header of one."""
        return self.file.name if self.frame is None else f"frame {self.frame + 1}"

    def of_frames(self) -> "list[DicomHeader]":
        """Return a header for each frame, with the tags in which the frames differ."""
        return [self._of_frame(k) for k in range(self.frames)]

    def _of_frame(self, k: int) -> "DicomHeader":
        own = self.frame_distinctions[k] if len(self.frame_distinctions) == self.frames else {}

        def number(name: str) -> float | None:
            return number_in(own.get(name, "").removesuffix(" ms"))

        tags = replace(
            self.tags,
            echo_time=number("echo time") or self.tags.echo_time,
            image_type=tuple(own["image type"].split("/")) if own.get("image type") else self.tags.image_type,
            b_value=number("b-value") or self.tags.b_value,
            inversion_time=number("inversion time") or self.tags.inversion_time,
            temporal_position=number("temporal position"),
        )
        return replace(
            self, positions=self.positions[[k]], distinctions=own, tags=tags, frames=1, frame=k, order=(k + 1,)
        )


def read_header(file: Path) -> DicomHeader | None:
    """Read the header of a DICOM image.

    Args:
        file: File of any kind.

    Returns:
        Header; None if the file is not a DICOM image.

    Raises:
        UnreadableImageError: If the file is a damaged MR image, or has a DICOM ending and cannot be read.
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
                "Copy or export the study again, or remove the file if its series is not needed.",
            ) from error
        return None
    sets = reader.GetMetaData(_CHARACTER_SET) if reader.HasMetaDataKey(_CHARACTER_SET) else ""
    values = {key: _clean(reader.GetMetaData(key), sets.strip()) for key in reader.GetMetaDataKeys()}
    header = replace(_header_of(file, values), problem=_compression_problem(start))
    frames = int(number_in(values.get("0028|0008", "")) or 1)
    return header if len(header.positions) == 1 and frames == 1 else _with_frames(header, frames)


def _header_of(file: Path, values: dict[str, str]) -> DicomHeader:
    """Return the header from the values of its tags, without functional groups."""

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
        order=tuple(
            number_in(number) or 0.0
            for number in (text("0020|0013"), tags.acquired, text("0008|0033"), text("0018|1060"))
        ),
        thickness=number_in(text("0018|0050")) or 0.0,
        slice_spacing=abs(number_in(text("0018|0088")) or 0.0),
        color=(number_in(text("0028|0002")) or 1) > 1 or text("0028|0004") == "PALETTE COLOR",
    )


def _compression_problem(start: bytes) -> str:
    """Return the sentence about a compression that cannot be read; empty if it can.

    Args:
        start: First bytes of the file.
    """
    found = re.search(rb"\x02\x00\x10\x00UI..([0-9.]+)", start, re.DOTALL)
    if found is None or _SYNTAXES.fullmatch(found[1].decode()):
        return ""
    from pydicom.uid import UID

    return f"Its files are compressed as {UID(found[1].decode()).name}, which cannot be read: export it uncompressed."


def _with_frames(header: DicomHeader, frames: int) -> DicomHeader:
    """Add the values that an enhanced file keeps in functional groups, which SimpleITK does not report."""
    groups = FunctionalGroups.read(header.file)
    orientations = groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient")
    spacings = groups.numbers("PixelMeasuresSequence", "PixelSpacing")
    positions = groups.numbers("PlanePositionSequence", "ImagePositionPatient")
    slopes, intercepts = (
        groups.numbers("PixelValueTransformationSequence", keyword) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    rescales = tuple((*slope, *intercept) for slope, intercept in zip(slopes, intercepts, strict=False))
    differ = len({*slopes}) > 1 or len({*intercepts}) > 1
    known = len(slopes) == len(intercepts) == frames and {len(rescale) for rescale in rescales} == {2}
    complete = (
        {len(orientation) for orientation in orientations} == {6}
        and {len(spacing) for spacing in spacings} == {2}
        and {len(position) for position in positions} == {3}
        and len(set(orientations)) == len(set(spacings)) == 1
        and len(positions) == frames
    )

    own, tags = groups.distinctions(), header.tags
    return replace(
        header,
        positions=np.array(positions) if complete else np.empty((0, 3)),
        orientation=np.reshape(orientations[0], (2, 3)) if complete else np.empty((0, 3)),
        pixel_spacing=(spacings[0][1], spacings[0][0]) if complete else (0.0, 0.0),
        tags=replace(
            tags,
            echo_time=tags.echo_time or groups.first("MREchoSequence", "EffectiveEchoTime"),
            repetition_time=tags.repetition_time
            or groups.first("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
            inversion_time=tags.inversion_time or groups.first("MRModifierSequence", "InversionTimes"),
            contrast_agent=tags.contrast_agent or groups.contrast_agent,
        ),
        frames=frames,
        problem=header.problem
        or ("Its files do not state how each of their frames is rescaled." if differ and not known else ""),
        rescales=rescales if differ and known else (),
        frame_distinctions=own,
        distinctions=header.distinctions | {k: v for k, v in own[0].items() if v.removesuffix(" ms")}
        if frames == len(own) == 1
        else header.distinctions,
    )


def _numbers(text: str) -> NDArray[np.float64]:
    """Return the numbers of a tag's value; empty if it holds anything else."""
    try:
        return np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return np.empty(0)


def _vectors(text: str) -> NDArray[np.float64]:
    """Return the vectors of a tag's value, (vectors, 3); empty if it holds anything else."""
    numbers = _numbers(text)
    return numbers.reshape(-1, 3) if numbers.size % 3 == 0 and np.isfinite(numbers).all() else np.empty((0, 3))


def _clean(text: str, character_sets: str) -> str:
    """Decode text that SimpleITK reports as escaped bytes: as its character sets say, or as UTF-8 or else Latin-1."""
    data = text.encode("utf-8", "surrogateescape")
    if character_sets not in _WESTERN and (not data.isascii() or b"\x1b" in data):
        from pydicom.charset import convert_encodings, decode_bytes

        with suppress(LookupError, UnicodeError), warnings.catch_warnings(action="ignore"):
            return decode_bytes(data, convert_encodings(character_sets.split("\\")), set(b"\\^=")).strip(" \0")
    with suppress(UnicodeDecodeError):
        return data.decode().strip(" \0")
    return data.decode("latin-1").strip(" \0")
