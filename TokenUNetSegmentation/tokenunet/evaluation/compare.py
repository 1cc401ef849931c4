"""Two results of one patient next to each other, such as those of two models."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.dice import dice
from tokenunet.core.errors import InputError
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay, OverlayGroup
from tokenunet.core.regions import REGION_TITLES, REGIONS, RegionName, regions_from_labels
from tokenunet.study.image_files import read_image

DIFFERENCE = OverlayGroup(
    "difference",
    "Difference",
    "How many of the regions whole tumor, tumor core and enhancing tumor hold a place in this result, less how many "
    "hold it in the other one: red places are marked here only, blue ones there only.",
)
_LABELS = "labels.nii.gz"
_REPORT = "run.json"
_STRONGEST = 2.0
"""Difference, in regions, that is displayed in the strongest color."""
_LEAST_SHARED = 0.5
"""Share of the second result's tumor that must be within the first result's images."""


@dataclass(frozen=True)
class RegionComparison:
    """One region in two results.

    Attributes:
        dice: Dice coefficient between both; 1 if neither marks the region.
        volumes_ml: Volume in the first and in the second result, in ml.
    """

    dice: float
    volumes_ml: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Two results of one patient.

    Attributes:
        models: Name of the model of each result, or of its folder if it does not say.
        regions: Comparison of WT, TC and ET, without those that either result does not mark.
        difference: Number of these regions that hold a voxel in the first result, less that in the second.
    """

    models: tuple[str, str]
    regions: dict[RegionName, RegionComparison]
    difference: Overlay

    def to_json(self) -> dict[str, Any]:
        """Return models, Dice and volumes."""
        regions = {name: {"dice": r.dice, "volumes_ml": list(r.volumes_ml)} for name, r in self.regions.items()}
        return {"models": list(self.models), "regions": regions}

    def to_text(self) -> str:
        """Return a table for people."""
        first, second = self.models
        lines = [f"A: {first}", f"B: {second}", "", f"{'':<17} {'Dice':>5} {'A in ml':>9} {'B in ml':>9}"]
        for name, title in REGION_TITLES.items():
            if name in self.regions:
                region = self.regions[name]
                a, b = region.volumes_ml
                lines.append(f"{title:<17} {region.dice:5.3f} {a:9.2f} {b:9.2f}")
            else:
                lines.append(f"{title:<17} not marked in both results")
        return "\n".join(lines)


def compare_regions(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    grid: Grid,
    models: tuple[str, str],
    unclaimed: Collection[str] = (),
) -> Comparison:
    """Compare the regions of two results on one grid.

    Args:
        first: Regions of the first result, (3, z, y, x) in the order of `REGIONS`.
        second: Regions of the second result, of the same shape.
        grid: Grid of both.
        models: Name of the model of each.
        unclaimed: Regions that either result does not mark, such as ET without T1ce; they are left out.
    """
    regions: dict[RegionName, RegionComparison] = {}
    difference = np.zeros(grid.size[::-1], np.float32)
    for name, a, b in zip(REGIONS, first, second, strict=True):
        if name not in unclaimed:
            regions[name] = RegionComparison(dice(a, b), (_ml(a, grid), _ml(b, grid)))
            difference += a.astype(np.float32) - b
    overlay = Overlay(
        name=DIFFERENCE.name,
        title=DIFFERENCE.title,
        group=DIFFERENCE.name,
        unit="regions more here than in the other result",
        range=(-_STRONGEST, _STRONGEST),
        colormap="signed",
        array=difference,
        grid=grid,
    )
    return Comparison(models, regions, overlay)


def compare_results(first: Path, second: Path) -> Comparison:
    """Compare two results of one patient on the grid of the first.

    Args:
        first: Folder of a result.
        second: Folder of another result of the same patient.

    Raises:
        InputError: If a folder holds no result, or the results are of different images.
    """
    labels = [_read_labels(folder) for folder in (first, second)]
    grid, other = (Grid.of(image) for image in labels)
    if not other.same_as(grid):
        _check_shared(first, second, labels, grid)
        labels[1] = grid.resample(labels[1], sitk.sitkNearestNeighbor)
    a, b = (regions_from_labels(sitk.GetArrayViewFromImage(image)) for image in labels)
    one, another = _report_of(first), _report_of(second)
    models = model_name(one) or first.resolve().name, model_name(another) or second.resolve().name
    return compare_regions(a, b, grid, models, unclaimed_in(one, another))


def different_scans(first: Path, second: Path) -> Finding | None:
    """Return the warning about two results that have no scan in common; None if they have, or do not name them.

    Args:
        first: Folder of a result.
        second: Folder of another result.
    """
    one, another = _scans_of(_report_of(first)), _scans_of(_report_of(second))
    if not one or not another or one & another:
        return None
    text = f"{first} and {second} were segmented from different scans. Check that they are of one patient."
    return Finding("different_scans", text)


def _scans_of(report: dict[str, Any]) -> set[str]:
    """Return the SHA-256 of each scan of a run report; none if it is damaged."""
    try:
        return {scan["sha256"] for scan in report["inputs"].values()}
    except (LookupError, TypeError, AttributeError):
        return set()


def model_name(report: dict[str, Any]) -> str:
    """Return the name of the model of a run report; empty if it does not say."""
    model = report.get("model")
    return str(model.get("name") or "") if isinstance(model, dict) else ""


def unclaimed_in(*reports: dict[str, Any]) -> set[str]:
    """Return the regions that any of the results with these run reports does not mark."""
    return {str(name) for report in reports for name in report.get("not_segmented") or ()}


def _read_labels(folder: Path) -> sitk.Image:
    path = folder / _LABELS
    if not path.is_file():
        raise InputError(f"{folder} holds no result: it has no {_LABELS}.", "Give the folder of a segmentation.")
    return read_image(path)


def _check_shared(first: Path, second: Path, labels: list[sitk.Image], grid: Grid) -> None:
    """Check that the second result's tumor is within the first one's images."""
    marked = sitk.Cast(labels[1] > 0, sitk.sitkUInt8)
    everything = float(sitk.GetArrayViewFromImage(marked).sum()) * Grid.of(marked).voxel_ml
    shared = float(sitk.GetArrayViewFromImage(grid.resample(marked, sitk.sitkNearestNeighbor)).sum()) * grid.voxel_ml
    if everything and shared < _LEAST_SHARED * everything:
        raise InputError(
            f"{first} and {second} are not of the same images: the tumor of the second is outside those of the first.",
            "Compare two results of one patient.",
        )


def _ml(region: NDArray[np.bool_], grid: Grid) -> float:
    return round(float(region.sum()) * grid.voxel_ml, 3)


def _report_of(folder: Path) -> dict[str, Any]:
    """Return the run report of a result; empty if it has none."""
    try:
        report = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}
