"""Patient of a folder with the results of ``tokenunet segment``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.errors import GridMismatchError, MissingSequenceError, UnreadableImageError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import regions_from_labels
from tokenunet.io.result_files import BRAIN, LABELS_FILE, read_report
from tokenunet.measurement import measure
from tokenunet.preprocessing.skull_stripping import extract_brain
from tokenunet.study.dicom import find_series, read_series
from tokenunet.study.image_files import read_image
from tokenunet.study.scans import Scan, read_scan


@dataclass(frozen=True)
class ReadResult:
    """Result that was read from its folder.

    Attributes:
        run: Run report, as in ``run.json``.
        scan: Reference scan.
        source_files: Files of its DICOM series; empty if it is no DICOM.
        regions: Regions on the scan's grid, (3, z, y, x) in the order of `REGIONS`.
        brain: Mask of the brain; None if the scan was skull-stripped.
    """

    run: dict[str, Any]
    scan: sitk.Image
    source_files: tuple[Path, ...]
    regions: NDArray[np.bool_]
    brain: NDArray[np.bool_] | None


def read_result(folder: Path, scan: Path | None = None) -> ReadResult:
    """Read a result and the scan that was segmented.

    Args:
        folder: Output folder of ``tokenunet segment``.
        scan: Image file or folder of the DICOM series; None takes the place that the run report names.

    Raises:
        UnreadableImageError: If a file is missing or damaged.
        MissingSequenceError: If the scan is no longer where it was.
        GridMismatchError: If the scan is not the one that was segmented.
    """
    try:
        run = read_report(folder)
        reference = run["inputs"][run["reference"]]
        sha256 = str(reference["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableImageError(
            f"{folder} holds no result with a readable run.json.", "Choose an output folder of tokenunet segment."
        ) from error
    labels = read_image(folder / LABELS_FILE)
    found, files = _reference_scan(reference, scan)
    if not Grid.of(found.image).same_as(Grid.of(labels)) or found.sha256 != sha256:
        raise GridMismatchError(
            f"{found.source} is not the {run['reference']} scan that was segmented to {folder}.",
            "Name the right one with --scan.",
        )
    regions = regions_from_labels(sitk.GetArrayFromImage(labels))
    if "lesions" not in run:  # results of version 0.1
        run["lesions"] = measure(regions, Grid.of(labels), run.get("not_segmented", ()))["lesions"]
    return ReadResult(run, found.image, files, regions, _brain(folder, run, found.image))


def _brain(folder: Path, run: dict[str, Any], scan: sitk.Image) -> NDArray[np.bool_] | None:
    """Return the brain that was cut out of a scan of the whole head; None if the scan was skull-stripped."""
    path = folder / BRAIN
    if path.exists():
        return sitk.GetArrayFromImage(read_image(path)) > 0
    return sitk.GetArrayFromImage(extract_brain([scan])) > 0 if run.get("brain_extracted") else None


def _reference_scan(reference: dict[str, Any], given: Path | None) -> tuple[Scan, tuple[Path, ...]]:
    """Return the scan of a run report's entry, and the files of its series."""
    series = reference.get("series")
    place = given or Path(series["folder"] if series else reference["path"])
    if not place.exists():
        raise MissingSequenceError(f"The scan {place} is not there.", "Say where it is with --scan.")
    if series is None:
        return read_scan(place), ()
    volumes = [volume for volume in find_series(place) if volume.uid == series["uid"] and volume.grid is not None]
    for volume in volumes:
        scan = read_series(volume)
        if scan.sha256 == reference["sha256"]:
            return scan, volume.files
    raise MissingSequenceError(
        f"{place} does not hold the series that was segmented.", "Say where its files are with --scan."
    )
