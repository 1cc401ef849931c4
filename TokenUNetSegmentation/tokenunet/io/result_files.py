"""Names of the files of a segmentation's results, which `tokenunet.inference.output` describes, and its run report."""

import json
from pathlib import Path
from typing import Any

RUN_REPORT = "run.json"
LABELS_FILE = "labels.nii.gz"
SEGMENTATION = "segmentation.seg.nrrd"
BRAIN = "brain.nii.gz"
TRANSFORMS = "transforms"
QUALITY = "quality.html"
DICOM_SEG = "segmentation.dcm"


def write_report(report: dict[str, Any], folder: Path) -> None:
    """Write `run.json`."""
    (folder / RUN_REPORT).write_text(json.dumps(report, indent=2) + "\n")
