"""Export of nested regions as a DICOM segmentation object (the extra ``dicom``)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.spatial import PixelToReferenceTransformer
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

import tokenunet
from tokenunet.core.errors import GridMismatchError, UnreadableImageError, UnusableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.terminology import ANATOMY, CATEGORY, REGION_STYLES, Code
from tokenunet.io.files import write_bytes

_TOLERANCE_VOXELS = 0.05
_LONGEST_NAME = 64
"""Largest length of DICOM's type LO."""
_SERIES_NUMBER_OFFSET = 1000
"""Added to the source's series number, so that the new series follows those of the scanner in an archive's list."""
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


def write_dicom_segmentation(
    regions: NDArray[np.bool_],
    grid: Grid,
    source_files: Sequence[Path],
    path: Path,
    algorithm_name: str,
    algorithm_version: str,
) -> None:
    """Write the regions as three overlapping binary segments of one DICOM object (PS3.3, A.51).

    Patient, study and frame of reference are the source's, and every frame refers to its slice of the source. Slices
    without a region have no frame of it; if there is no tumor at all, all frames are present and empty.

    Args:
        regions: Regions (3, z, y, x) in the order of `REGIONS`.
        grid: Grid of the regions; its slices, but not its rows and columns, may be in another order than the files.
        source_files: Series with this grid: a file for each slice, or one multi-frame file.
        path: Path of the new file.
        algorithm_name: Name of the model.
        algorithm_version: Version of the model.

    Raises:
        UnreadableImageError: If a source file is missing or not DICOM.
        UnusableImageError: If the source has no position in space.
        GridMismatchError: If the slices are not those of the grid.
        OutputError: If the file cannot be written.
    """
    sources = [_read_header(file) for file in source_files]
    order = _slice_order(sources, grid, source_files[0])
    algorithm = highdicom.AlgorithmIdentificationSequence(
        algorithm_name[:_LONGEST_NAME], codes.cid7162.ArtificialIntelligence, algorithm_version
    )
    segmentation = Segmentation(
        source_images=sources,
        pixel_array=np.moveaxis(regions, 0, -1)[order],
        segmentation_type="BINARY",
        segment_descriptions=[_description(number, name, algorithm) for number, name in enumerate(REGIONS, 1)],
        series_instance_uid=highdicom.UID(),
        series_number=_SERIES_NUMBER_OFFSET + int(sources[0].get("SeriesNumber") or 0),
        series_description="Token-UNet tumor segmentation",
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Token-UNet",
        manufacturer_model_name="tokenunet",
        software_versions=tokenunet.__version__,
        device_serial_number=tokenunet.__version__,
        content_label="TUMOR",
        omit_empty_frames=bool(regions.any()),  # an object needs at least one frame
        content_description="Nested regions of a brain tumor, for research only",
    )
    file = BytesIO()
    segmentation.save_as(file)
    write_bytes(path, file.getvalue())


def _description(
    number: int, name: RegionName, algorithm: highdicom.AlgorithmIdentificationSequence
) -> SegmentDescription:
    style = REGION_STYLES[name]
    return SegmentDescription(
        segment_number=number,
        segment_label=style.title,
        segmented_property_category=_coded(CATEGORY),
        segmented_property_type=_coded(style.code),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[_coded(ANATOMY)],
        display_color=highdicom.color.CIELabColor.from_rgb(*(255 * c for c in style.color)),
    )


def _coded(code: Code) -> highdicom.sr.CodedConcept:
    return highdicom.sr.CodedConcept(code.value, code.scheme, code.meaning)


def _read_header(file: Path) -> pydicom.Dataset:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise UnreadableImageError(
            f"{file} cannot be read as DICOM.", "The segmentation refers to the files of the series; restore them."
        ) from error
    for keyword in _MAY_BE_UNKNOWN:
        if keyword not in header:
            setattr(header, keyword, "")
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
    if len(uids) > 1 or sorted(order) != list(range(depth)) or np.abs(indices - expected).max() > _TOLERANCE_VOXELS:
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
