"""Two results of one patient next to each other, such as those of two models."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from tokenunet.core.dice import dice
from tokenunet.core.errors import InputError
from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay
from tokenunet.core.regions import REGION_TITLES, REGIONS, RegionName, regions_from_labels
from tokenunet.study.image_files import read_image

_LABELS = "labels.nii.gz"
_REPORT = "run.json"
_DIFFERENCE = "difference"
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
        regions: Comparison of WT, TC and ET.
        difference: Number of the regions WT, TC and ET that hold a voxel in the first result, less that in the second.
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
        for name, region in self.regions.items():
            a, b = region.volumes_ml
            lines.append(f"{REGION_TITLES[name]:<17} {region.dice:5.3f} {a:9.2f} {b:9.2f}")
        return "\n".join(lines)


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
    regions = {
        name: RegionComparison(dice(p, q), (_ml(p, grid), _ml(q, grid)))
        for name, p, q in zip(REGIONS, a, b, strict=True)
    }
    difference = Overlay(
        name=_DIFFERENCE,
        title="Difference",
        group=_DIFFERENCE,
        unit="regions more in A than in B",
        range=(-float(len(REGIONS)), float(len(REGIONS))),
        colormap="signed",
        array=a.sum(axis=0, dtype=np.float32) - b.sum(axis=0, dtype=np.float32),
        grid=grid,
    )
    return Comparison((_model_of(first), _model_of(second)), regions, difference)


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


def _ml(region: np.ndarray, grid: Grid) -> float:
    return round(float(region.sum()) * grid.voxel_ml, 3)


def _model_of(folder: Path) -> str:
    try:
        return str(json.loads((folder / _REPORT).read_text(encoding="utf-8"))["model"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder.resolve().name
