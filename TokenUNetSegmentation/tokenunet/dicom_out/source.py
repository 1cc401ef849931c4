"""Source series that DICOM objects of a result refer to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from highdicom.spatial import PixelToReferenceTransformer
from numpy.typing import NDArray

import tokenunet
from tokenunet.core.errors import GridMismatchError, UnreadableImageError, UnusableImageError
from tokenunet.core.grid import Grid

LONGEST_NAME = 64
"""Largest length of DICOM's type LO."""
EQUIPMENT: dict[str, Any] = {
    "manufacturer": "Token-UNet",
    "manufacturer_model_name": "tokenunet",
    "software_versions": tokenunet.__version__,
    "device_serial_number": tokenunet.__version__,
}
_TOLERANCE_VOXELS = 0.05
"""Largest distance of the first slice from its place in the grid."""
_DRIFT_VOXELS = 0.5
"""Largest distance of the other slices, which may be shifted against each other."""
_MAY_BE_UNKNOWN = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
"""Attributes that must be present, possibly without a value; anonymized files often lack them."""


@dataclass(frozen=True)
class SourceSeries:
    """Series that was segmented.

    Attributes:
        headers: Headers of its files, without pixels.
        slice_order: Index in the grid of each slice of the series.
    """

    headers: list[pydicom.Dataset]
    slice_order: list[int]

    @classmethod
    def read(cls, files: Sequence[Path], grid: Grid) -> "SourceSeries":
        """Read the headers of a series and find its slices in a grid.

        Args:
            files: Series with this grid: a file for each slice, or one multi-frame file.
            grid: Grid of the result; its slices, but not its rows and columns, may be in another order than the files.

        Raises:
            UnreadableImageError: If a file is missing or not DICOM.
            UnusableImageError: If the series has no position in space.
            GridMismatchError: If the slices are not those of the grid.
        """
        headers = [_read_header(file, grid) for file in files]
        if len(headers) > 1 and any("NumberOfFrames" in header for header in headers):
            raise UnusableImageError(
                f"{files[0]} is one of several multi-frame files of a series, to which one object cannot refer.",
                "Use segmentation.seg.nrrd, or store the series as single-frame files.",
            )
        return cls(headers, _slice_order(headers, grid, files[0]))

    @property
    def first(self) -> pydicom.Dataset:
        """Header of the first file, for what describes the patient and the study."""
        return self.headers[0]

    def series_number(self, offset: int) -> int:
        """Return the number of a new series, which follows those of the scanner in an archive's list."""
        return offset + int(self.first.get("SeriesNumber") or 0)


def _read_header(file: Path, grid: Grid) -> pydicom.Dataset:
    """Return the header of a source file, with text as UTF-8, and with what DICOM objects of a result must have."""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True)  # old files lack the preamble
        if "SOPInstanceUID" not in header:
            raise pydicom.errors.InvalidDicomError
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableImageError(
            f"{file} cannot be read as DICOM.", "The segmentation refers to the files of the series; restore them."
        ) from error
    for keyword in _MAY_BE_UNKNOWN:
        if keyword not in header:
            setattr(header, keyword, "")
    if header.get("SpecificCharacterSet"):
        header.decode()
        header.SpecificCharacterSet = "ISO_IR 192"
    if header.get("SliceThickness") is None and "SharedFunctionalGroupsSequence" not in header:
        header.SliceThickness = grid.spacing[2]
    return header


def _slice_order(sources: list[pydicom.Dataset], grid: Grid, file: Path) -> list[int]:
    """Return the index in the grid of each slice of the source.

    Raises:
        UnusableImageError: If the source has no position in space.
        GridMismatchError: If the slices are not those of the grid.
    """
    try:
        corners = np.array([_corners(source, frame) for source in sources for frame in _frames(source)])
        uids = {source.FrameOfReferenceUID for source in sources}
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise UnusableImageError(
            f"The series of {file} has no positions of its slices.", "Choose the original series of the scanner."
        ) from error
    to_index = np.linalg.inv(grid.index_to_lps)
    indices = corners @ to_index[:3, :3].T + to_index[:3, 3]
    order = np.round(indices[:, 0, 2]).astype(int).tolist()
    width, height, depth = grid.size
    expected = [[(0, 0, k), (width - 1, height - 1, k)] for k in order]
    tolerance = np.where(np.array(order) == 0, _TOLERANCE_VOXELS, _DRIFT_VOXELS)[:, None, None]
    if len(uids) > 1 or sorted(order) != list(range(depth)) or (np.abs(indices - expected) > tolerance).any():
        raise GridMismatchError(
            f"{file} and the other files of its series are not the slices that were segmented.",
            "Choose the series that has the grid of the result.",
        )
    return order


def _frames(source: pydicom.Dataset) -> Sequence[int | None]:
    return range(1, source.NumberOfFrames + 1) if "NumberOfFrames" in source else [None]


def _corners(source: pydicom.Dataset, frame: int | None) -> NDArray[np.float64]:
    """Return the centers of the first and the last pixel of a slice, (2, 3), in LPS mm."""
    to_lps = PixelToReferenceTransformer.for_image(source, frame_number=frame)
    return to_lps(np.array([[0, 0], [source.Columns - 1, source.Rows - 1]]))
