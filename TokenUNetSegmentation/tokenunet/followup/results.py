"""Segmentations of the time points, read from their folders."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.background import foreground
from tokenunet.core.errors import InputError, MissingSequenceError, TokenUNetError
from tokenunet.core.grid import Grid
from tokenunet.core.regions import regions_from_labels
from tokenunet.followup.time_points import TimePoint
from tokenunet.io.result_files import BRAIN, LABELS_FILE, RUN_REPORT, TRANSFORMS, read_report
from tokenunet.preprocessing.skull_stripping import extract_brain, is_stripped
from tokenunet.study.dicom import find_series, read_series
from tokenunet.study.image_files import read_image
from tokenunet.study.scans import Scan, read_scan

_OF_SERIES = ": series "


@dataclass(frozen=True)
class SegmentedTimePoint:
    """Time point with its segmentation.

    Attributes:
        point: Time point.
        folder: Folder of the result.
        report: Run report of the segmentation.
        sequence: Name of the reference scan, on whose grid all arrays are.
        image: Reference scan.
        regions: Regions WT, TC and ET, (3, D, H, W).
        brain: Brain, (D, H, W).
        others: Other scans that are still where they were, by sequence.
    """

    point: TimePoint
    folder: Path
    report: dict[str, Any]
    sequence: str
    image: sitk.Image
    regions: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    others: Mapping[str, sitk.Image] = field(default_factory=dict)

    @property
    def model(self) -> dict[str, Any]:
        """Description of the model that segmented it; empty if the report has none."""
        return self.report.get("model", {})

    @property
    def grid(self) -> Grid:
        """Grid of the arrays."""
        return Grid.of(self.image)


def read_result(point: TimePoint, folder: Path) -> SegmentedTimePoint:
    """Read the segmentation of a time point, and the scan on whose grid it is.

    Args:
        point: Time point.
        folder: Folder of the result.

    Raises:
        InputError: If the folder holds no result, or one of another scan.
        MissingSequenceError: If the scan is no longer where it was.
        UnreadableImageError: If an image cannot be read.
    """
    try:
        report = read_report(folder)
        sequence = str(report["reference"])
        source = str(report["inputs"][sequence]["path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / RUN_REPORT} is damaged.", "Segment that time point again.") from error
    labels = read_image(folder / LABELS_FILE)
    scan = _read_scan(source, folder)
    if not Grid.of(labels).same_as(Grid.of(scan.image)):
        raise InputError(f"{source} is not the scan that {folder} was segmented from.", "Segment it again.")
    regions = regions_from_labels(sitk.GetArrayFromImage(labels).astype(np.uint8))
    others = dict(_other_scans(report, sequence, folder, Grid.of(labels)))
    return SegmentedTimePoint(point, folder, report, sequence, scan.image, regions, _brain(scan.image, folder), others)


def _other_scans(
    report: Mapping[str, Any], reference: str, folder: Path, grid: Grid
) -> Iterator[tuple[str, sitk.Image]]:
    """Yield the scans other than the reference on its grid, without those that are gone: they only help to align."""
    for sequence, scan in report["inputs"].items():
        if sequence == reference:
            continue
        with suppress(TokenUNetError, OSError, RuntimeError):
            image = sitk.Cast(_read_scan(str(scan["path"]), folder).image, sitk.sitkFloat32)
            transform = folder / TRANSFORMS / f"{sequence}.tfm"
            yield (
                sequence,
                grid.resample(image, transform=sitk.ReadTransform(transform) if transform.exists() else None),
            )


def _brain(scan: sitk.Image, folder: Path) -> NDArray[np.bool_]:
    """Return the brain in a scan, as it was cut out for the segmentation if the scan shows the whole head."""
    if is_stripped(scan):
        return foreground(sitk.GetArrayViewFromImage(scan))
    brain = read_image(folder / BRAIN) if (folder / BRAIN).is_file() else extract_brain([scan])
    return sitk.GetArrayFromImage(brain) > 0


def _read_scan(source: str, result: Path) -> Scan:
    """Read a scan from where a run report says that it was; a relative path starts from the result's folder, too."""
    place, is_series, name = source.partition(_OF_SERIES)
    path = next((path for path in (Path(place), result / place) if path.exists()), None)
    if path is None:
        raise MissingSequenceError(
            f"The scan {place} that {result} was segmented from is no longer there.", "Segment that time point again."
        )
    if not is_series:
        return read_scan(path)
    series = next((volume for volume in find_series(path) if volume.name == name), None)
    if series is None:
        raise MissingSequenceError(f"{path} no longer holds the series {name}.", "Segment that time point again.")
    return read_series(series)
