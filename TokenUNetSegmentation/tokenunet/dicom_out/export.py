"""Export of a result as DICOM: segmentation, measurements and key slices.

| file | content |
| --- | --- |
| ``segmentation.dcm`` | regions as a segmentation object |
| ``measurements.dcm`` | volumes and diameters as a structured report, TID 1500 |
| ``key_slice_1.dcm`` ... | key slices with outlines and numbers, as Secondary Capture |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from highdicom.seg import Segmentation
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tokenunet.core.edits import EDITS
from tokenunet.core.grid import Grid
from tokenunet.dicom_out.measurements import dicom_measurements
from tokenunet.dicom_out.segmentation import dicom_segmentation
from tokenunet.dicom_out.source import SourceSeries
from tokenunet.dicom_out.uids import encode_stably
from tokenunet.io.files import staging_folder, write_bytes
from tokenunet.io.result_files import DICOM_FILES, DICOM_KEY_SLICE, DICOM_SEG, DICOM_SR
from tokenunet.report.measured import MeasuredPatient


@dataclass(frozen=True)
class DicomResult:
    """Result that is exported.

    Attributes:
        scan: Reference scan.
        regions: Regions (3, z, y, x) on its grid, in the order of `REGIONS`.
        source_files: Files of the scan's series: one for each slice, or a multi-frame file.
        model: Name of the model.
        model_version: Version of the model.
        made: Time at which the result was made or corrected last.
        unclaimed: Regions that the model does not tell without the scans that are missing.
        edited: Whether somebody has corrected the regions.
        lesions: Lesions of the run report, whose lines somebody may have moved; None measures them.
    """

    scan: sitk.Image
    regions: NDArray[np.bool_]
    source_files: Sequence[Path]
    model: str
    model_version: str
    made: datetime
    unclaimed: tuple[str, ...] = ()
    edited: bool = False
    lesions: Mapping[str, Sequence[Mapping[str, Any]]] | None = None

    @classmethod
    def of_run(
        cls, run: Mapping[str, Any], scan: sitk.Image, regions: NDArray[np.bool_], source_files: Sequence[Path]
    ) -> "DicomResult":
        """Return the result that a run report describes.

        Args:
            run: Run report, as in ``run.json``.
            scan: Reference scan.
            regions: Regions (3, z, y, x) on its grid.
            source_files: Files of the scan's series.
        """
        model = run.get("model", {})
        times = [run.get("started", ""), *(edit["time"] for edit in run.get(EDITS, ()))]
        return cls(
            scan,
            regions,
            source_files,
            model.get("name", "Token-UNet"),
            model.get("sha256", "")[:12],
            datetime.fromisoformat(max(times)) if any(times) else datetime.now(UTC),
            tuple(run.get("not_segmented", ())),
            edited=bool(run.get(EDITS)),
            lesions=run.get("lesions"),
        )

    def source(self) -> SourceSeries:
        """Read the headers of the series; see `SourceSeries.read` for the errors."""
        return SourceSeries.read(self.source_files, Grid.of(self.scan))


def write_segmentation(result: DicomResult, path: Path) -> None:
    """Write the segmentation object only.

    Args:
        result: Result of one patient.
        path: Path of the new file.

    Raises:
        InputError: If a source file cannot be used, or has other slices than the result.
        OutputError: If the file cannot be written.
    """
    source = result.source()
    files = encode_stably({path.name: _segmentation(result, source)}, source.headers, result.made)
    write_bytes(path, files[path.name])


def write_dicom_result(result: DicomResult, folder: Path, key_slices: bool = True) -> list[Path]:
    """Write segmentation, measurements and key slices; all of them or, after an error, none.

    An unchanged result has the same UIDs and the same files at every export, so that an archive stores it once.

    Args:
        result: Result of one patient.
        folder: Folder for the files, created if needed; those of an earlier export are replaced.
        key_slices: Whether to write key slices, too; they need matplotlib.

    Returns:
        Written files.

    Raises:
        InputError: If a source file cannot be used, or has other slices than the result.
        OutputError: If the folder cannot be written.
    """
    source = result.source()
    patient = MeasuredPatient.of(result.scan, result.regions, result.unclaimed, result.lesions)
    segmentation = _segmentation(result, source)
    objects: dict[str, Dataset] = {
        DICOM_SEG: segmentation,
        DICOM_SR: dicom_measurements(patient, segmentation, source, result.model, result.model_version),
    }
    if key_slices:
        from tokenunet.dicom_out.key_slices import dicom_key_slices

        for number, image in enumerate(dicom_key_slices(patient, source), start=1):
            objects[DICOM_KEY_SLICE.format(number=number)] = image
    files = encode_stably(objects, source.headers, result.made)
    with staging_folder(folder, replaces=DICOM_FILES) as staging:
        for name, content in files.items():
            (staging / name).write_bytes(content)
    return [folder / name for name in objects]


def sop_instance_uid(path: Path) -> str:
    """Return the UID of the object in a DICOM file."""
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def _segmentation(result: DicomResult, source: SourceSeries) -> Segmentation:
    return dicom_segmentation(result.regions, source, result.model, result.model_version, result.edited)
