"""Names of the files of a segmentation's results, which `tokenunet.inference.output` describes, and its run report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenunet.core.old_keys import with_current_keys

RUN_REPORT = "run.json"
LABELS_FILE = "labels.nii.gz"
SEGMENTATION = "segmentation.seg.nrrd"
BRAIN = "brain.nii.gz"
TRANSFORMS = "transforms"
QUALITY = "quality.html"
DICOM_SEG, DICOM_SR = "segmentation.dcm", "measurements.dcm"
DICOM_KEY_SLICE = "key_slice_{number}.dcm"
DICOM_FILES = (DICOM_SEG, DICOM_SR, DICOM_KEY_SLICE.format(number="*"))
"""Patterns of the DICOM objects that may be in a folder."""
REPORT_FILES = ("report.html", "report.pdf")
"""Report of a patient, as page and as PDF."""
REPORT_PATIENT = "report_patient"
"""Key of `run.json` with the name that the user gave the patient in the report."""


def read_report(folder: Path) -> dict[str, Any]:
    """Read `run.json`, of earlier versions, too.

    Raises:
        OSError: If it is missing.
        ValueError: If it is damaged.
    """
    report = with_current_keys(json.loads((folder / RUN_REPORT).read_text(encoding="utf-8")))
    if not isinstance(report, dict):
        raise ValueError(f"{folder / RUN_REPORT} holds no report.")
    return report


def is_same_run(report: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two run reports are of one run, whatever was corrected since then."""
    return bool(report.get("started") == other.get("started"))


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write `run.json`."""
    (folder / RUN_REPORT).write_text(json.dumps(report, indent=2) + "\n")
