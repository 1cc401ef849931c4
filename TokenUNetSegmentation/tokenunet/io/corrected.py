"""Corrected regions in place of those of a run, in its folder of results."""

import fnmatch
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.edits import EDITED_TAG, edit_mark, edited_regions
from tokenunet.core.errors import OutputError, UnusableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import labels_from_regions
from tokenunet.io.files import locked_folder, staging_folder
from tokenunet.io.result_files import (
    DICOM_FILES,
    LABELS_FILE,
    REPORT_FILES,
    REPORT_PATIENT,
    RUN_REPORT,
    SEGMENTATION,
    TRANSFORMS,
    is_same_run,
    read_report,
    write_report,
)
from tokenunet.io.seg_nrrd import write_segmentation


def save_corrected(folder: Path, regions: NDArray[np.bool_], report: dict[str, Any]) -> list[str]:
    """Replace labels, segmentation and run report of a result, all or none.

    Labels on the grids of other sequences are resampled from those on the reference's grid. DICOM objects and reports
    of the uncorrected regions are removed; overlays and the quality page stay those of the run.

    Args:
        folder: Folder of results of ``tokenunet segment``.
        regions: Corrected regions, nested, on the reference's grid, (3, D, H, W) in the order of `REGIONS`.
        report: Run report with the corrections.

    Returns:
        Names of the removed files.

    Raises:
        UnusableImageError: If the result in the folder has another grid.
        OutputError: If the folder cannot be written, or the patient was segmented again since then.
    """
    others = {path.name: _grid_of_file(path) for path in sorted(folder.glob("labels_*.nii.gz"))}
    grid = _grid_of_file(folder / LABELS_FILE)
    if regions.shape[1:] != tuple(reversed(grid.size)):
        raise UnusableImageError(
            f"{folder / LABELS_FILE} has {grid.size} voxels, other than the corrected regions.",
            "Save the segmentation as a file of its own.",
        )
    labels = grid.image(labels_from_regions(regions, report["labels"]["ET"]))
    removed = sorted(path.name for pattern in (*DICOM_FILES, *REPORT_FILES) for path in folder.glob(pattern))
    replaced = (LABELS_FILE, *others, SEGMENTATION, *removed, RUN_REPORT)
    report = report | {"outputs": [name for name in report["outputs"] if name not in removed]}
    with suppress(OSError, ValueError):  # a damaged run report is replaced
        written = read_report(folder)
        if not is_same_run(written, report):
            raise OutputError(
                f"{folder} holds the result of another run by now.",
                "Load that, or save the segmentation as a file of its own.",
            )
        report |= {key: value for key, value in written.items() if key == REPORT_PATIENT}
    try:
        with locked_folder(folder), staging_folder(folder, replaces=replaced, last=RUN_REPORT) as staging:
            _write_labels(labels, report, staging / LABELS_FILE)
            for name, other in others.items():
                transform = _to_reference(folder, name.removeprefix("labels_").removesuffix(".nii.gz"))
                resampled = other.resample(labels, sitk.sitkNearestNeighbor, transform)
                _write_labels(resampled, report, staging / name)
            tags = {name: {EDITED_TAG: date} for name, date in edited_regions(report).items()}
            write_segmentation(regions, labels, staging / SEGMENTATION, tags)
            write_report(report, staging)
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise OutputError(f"Corrections cannot be written to {folder}.", "Make room on the disk.") from error
    return removed


def put_back_dicom(folder: Path, made: Path, removed: Sequence[str]) -> None:
    """Put DICOM objects of the corrected regions in the place of those that were removed, and add no others.

    Args:
        folder: Folder of results.
        made: Folder with the new objects, which are moved.
        removed: Names of the removed files.

    Raises:
        OutputError: If the folder cannot be written.
    """
    patterns = [pattern for pattern in DICOM_FILES if fnmatch.filter(removed, pattern)]
    with locked_folder(folder), staging_folder(folder, replaces=tuple(patterns), last=RUN_REPORT) as staging:
        names = [path.name for pattern in patterns for path in sorted(made.glob(pattern))]
        for name in names:
            shutil.move(made / name, staging / name)
        report = read_report(folder)
        write_report(report | {"outputs": sorted({*report["outputs"], *names})}, staging)


def _grid_of_file(path: Path) -> Grid:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnusableImageError(f"{path} cannot be read.", "Segment the patient again.") from error
    return Grid(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())


def _to_reference(folder: Path, sequence: str) -> sitk.Transform | None:
    """Return the transform from a sequence's own space to the reference's; None if it was not aligned."""
    path = folder / TRANSFORMS / f"{sequence}.tfm"
    return sitk.ReadTransform(str(path)).GetInverse() if path.is_file() else None


def _write_labels(image: sitk.Image, report: dict[str, Any], path: Path) -> None:
    if mark := edit_mark(report):
        image.SetMetaData("ITK_FileNotes", mark)  # "descrip" in the header
    sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=1)
