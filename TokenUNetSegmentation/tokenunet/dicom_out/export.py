"""Export of a result as DICOM: segmentation, measurements and key slices.

| file | content |
| --- | --- |
| ``segmentation.dcm`` | regions as a segmentation object |
| ``measurements.dcm`` | volumes and diameters as a structured report, TID 1500 |
| ``key_slice_1.dcm`` ... | key slices with outlines and numbers, as Secondary Capture |
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
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
from tokenunet.dicom_out.source import EQUIPMENT, SourceSeries
from tokenunet.dicom_out.uids import make_uids_stable
from tokenunet.io.files import staging_folder, write_bytes
from tokenunet.report.measured import MeasuredPatient

SEGMENTATION_FILE = "segmentation.dcm"
MEASUREMENTS_FILE = "measurements.dcm"
KEY_SLICE = "key_slice_{number}.dcm"
PATTERNS = (SEGMENTATION_FILE, MEASUREMENTS_FILE, KEY_SLICE.format(number="*"))
"""What an export may write, and a later one replaces."""


@dataclass(frozen=True)
class DicomResult:
    """Result that is exported.

    Attributes:
        scan: Reference scan.
        regions: Regions (3, z, y, x) on its grid, in the order of `REGIONS`.
        source_files: Files of the scan's series: one for each slice, or a multi-frame file.
        model: Name of the model.
        model_version: Version of the model.
        unclaimed: Regions that the model does not tell without the scans that are missing.
        edited: Whether somebody has corrected the regions.
        lesions: Lesions of the run report, whose lines somebody may have moved; None measures them.
    """

    scan: sitk.Image
    regions: NDArray[np.bool_]
    source_files: Sequence[Path]
    model: str
    model_version: str
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
        return cls(
            scan,
            regions,
            source_files,
            model.get("name", "Token-UNet"),
            model.get("sha256", "")[:12],
            tuple(run.get("not_segmented", ())),
            edited=bool(run.get(EDITS)),
            lesions=run.get("lesions"),
        )

    def source(self) -> SourceSeries:
        """Read the headers of the series; see `SourceSeries.read` for the errors."""
        return SourceSeries.read(self.source_files, Grid.of(self.scan))

    def digest(self, source: SourceSeries) -> str:
        """Return the SHA-256 of all that is exported.

        Args:
            source: Series that was read.
        """
        parts = [str(header.SOPInstanceUID) for header in source.headers]
        parts += [self.model, self.model_version, EQUIPMENT["software_versions"], f"{self.unclaimed} {self.edited}"]
        parts += [str(Grid.of(self.scan)), json.dumps(self.lesions, sort_keys=True)]
        return hashlib.sha256("\n".join(parts).encode() + np.packbits(self.regions).tobytes()).hexdigest()


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
    segmentation = _segmentation(result, source)
    make_uids_stable([segmentation], result.digest(source), source.headers)
    write_bytes(path, _encoded(segmentation))


def write_dicom_result(result: DicomResult, folder: Path, key_slices: bool = True) -> list[Path]:
    """Write segmentation, measurements and key slices; all of them or, after an error, none.

    An unchanged result has the same UIDs at every export, so that an archive stores it once.

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
        SEGMENTATION_FILE: segmentation,
        MEASUREMENTS_FILE: dicom_measurements(patient, segmentation, source, result.model, result.model_version),
    }
    if key_slices:
        from tokenunet.dicom_out.key_slices import dicom_key_slices

        for number, image in enumerate(dicom_key_slices(patient, source), start=1):
            objects[KEY_SLICE.format(number=number)] = image
    make_uids_stable(objects.values(), result.digest(source), source.headers)
    with staging_folder(folder, replaces=PATTERNS) as staging:
        for name, dataset in objects.items():
            (staging / name).write_bytes(_encoded(dataset))
    return [folder / name for name in objects]


def sop_instance_uid(path: Path) -> str:
    """Return the UID of the object in a DICOM file."""
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def _segmentation(result: DicomResult, source: SourceSeries) -> Segmentation:
    return dicom_segmentation(result.regions, source, result.model, result.model_version, result.edited)


def _encoded(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
