"""Folder of the results of a follow-up.

| file | content |
| --- | --- |
| ``results/<name>/`` | segmentation of each time point that was given as scans, see `tokenunet.inference.output` |
| ``scans/<name>.nii.gz`` | reference scan of each time point, aligned to the first |
| ``labels/<name>.nii.gz`` | exclusive labels of each time point on the same grid |
| ``transforms/<name>.tfm`` | from the first time point's space to that of a later one |
| ``overlays/change/<name>.nii.gz`` | maps of gained and lost tumor |
| ``follow_up.csv`` | volumes and changes |
| ``follow_up.html`` | page with curves, tables and pictures |
| ``follow_up.pdf`` | the same as PDF, if matplotlib is installed |
| ``follow_up.json`` | the report; it is written last, so that the rest is complete if it exists |
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from tokenunet.core.errors import OutputError
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import OVERLAYS, Overlay
from tokenunet.core.regions import labels_from_regions
from tokenunet.followup.align import AlignedTimePoint
from tokenunet.followup.change_map import CHANGE
from tokenunet.followup.request import PAGE, PDF, REPORT
from tokenunet.io.overlay_files import write_overlays

TABLE = "follow_up.csv"
RESULTS, SCANS, LABELS, TRANSFORMS = "results", "scans", "labels", "transforms"
PATTERNS = (
    f"{SCANS}/*.nii.gz",
    f"{LABELS}/*.nii.gz",
    f"{TRANSFORMS}/*.tfm",
    f"{OVERLAYS}/{CHANGE.name}/*.nii.gz",
    TABLE,
    PAGE,
    PDF,
    REPORT,
)
"""What a follow-up writes, and a later one replaces."""


def scan_file(name: str) -> str:
    """Return the file of a time point's aligned scan, relative to the folder of the results."""
    return f"{SCANS}/{name}.nii.gz"


def labels_file(name: str) -> str:
    """Return the file of a time point's aligned labels, relative to the folder of the results."""
    return f"{LABELS}/{name}.nii.gz"


def write_images(points: Sequence[AlignedTimePoint], overlays: Sequence[Overlay], grid: Grid, folder: Path) -> None:
    """Write scans, labels, transforms and maps of change.

    Args:
        points: Time points in their order.
        overlays: Maps of change.
        grid: Grid of the first time point, on which all are.
        folder: Folder to write into, which exists.

    Raises:
        OutputError: If a file cannot be written.
    """
    for name in (SCANS, LABELS, TRANSFORMS):
        (folder / name).mkdir()
    try:
        for point in points:
            name = point.segmented.point.name
            _write(grid.image(point.scan), folder / scan_file(name))
            whole, core, enhancing = point.regions
            nested = np.stack([whole, core & whole, enhancing & core & whole])
            _write(grid.image(labels_from_regions(nested)), folder / labels_file(name))
            if point.alignment is not None:
                sitk.WriteTransform(point.alignment.transform, folder / TRANSFORMS / f"{name}.tfm")
        write_overlays(overlays, folder)
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise OutputError(f"Results cannot be written to {folder.parent}.", "Make room on the disk.") from error


def write_tables(report: dict[str, Any], page: str, pdf: bytes | None, folder: Path) -> None:
    """Write the report, the page, the PDF and the table of changes.

    Args:
        report: Contents of `follow_up.json`.
        page: Page as HTML.
        pdf: Content of the PDF file; None writes none.
        folder: Folder to write into, which exists.
    """
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(report["changes"][0]))
        table.writeheader()
        table.writerows(report["changes"])
    (folder / PAGE).write_text(page, encoding="utf-8")
    if pdf is not None:
        (folder / PDF).write_bytes(pdf)
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _write(image: sitk.Image, path: Path) -> None:
    sitk.WriteImage(image, path, useCompression=True, compressionLevel=1)
