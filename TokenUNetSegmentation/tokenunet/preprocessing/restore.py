"""From the network's space back to where the scans lie."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.grid import Grid
from tokenunet.prediction import AttentionMasks, Prediction
from tokenunet.preprocessing.prepare import Prepared
from tokenunet.regions import ED, ET_LABEL, NCR, REGIONS, labels_from_regions
from tokenunet.sequences import SequenceName

_THRESHOLD = 0.5


@dataclass(frozen=True)
class Result:
    """One patient's segmentation on the grids of the scans.

    Attributes:
        regions: (3, z, y, x) of WT, TC and ET, nested, on ``grid``.
        labels: exclusive labels (z, y, x) on ``grid``.
        grid: of the reference scan.
        other_labels: exclusive labels of the sequences with another grid, with that grid.
        volumes_ml: of WT, TC, ET, NCR and ED, measured on ``grid``.
        masks: where they were asked for; on a grid of their own.
    """

    regions: NDArray[np.bool_]
    labels: NDArray[np.uint8]
    grid: Grid
    other_labels: dict[SequenceName, tuple[NDArray[np.uint8], Grid]]
    volumes_ml: dict[str, float]
    masks: AttentionMasks | None


def restore(prediction: Prediction, prepared: Prepared, et_label: int = ET_LABEL) -> Result:
    """Thresholds the probabilities on the reference's grid and on every other native grid.

    Args:
        prediction: on ``prepared.grid``.
        prepared: knows the way back.
        et_label: value of enhancing tumour in the labels.
    """
    grid = prepared.reference_grid
    regions = regions_on_grid(prediction.probabilities, prepared.grid, grid)
    labels = labels_from_regions(regions, et_label)
    others = {
        sequence: (
            labels_from_regions(regions_on_grid(prediction.probabilities, prepared.grid, other), et_label),
            other,
        )
        for sequence, other in prepared.other_grids.items()
    }
    counts = {**dict(zip(REGIONS, regions.sum((1, 2, 3)), strict=True))}
    counts |= {"NCR": (labels == NCR).sum(), "ED": (labels == ED).sum()}
    volumes = {name: round(float(count) * grid.voxel_ml, 3) for name, count in counts.items()}
    return Result(regions, labels, grid, others, volumes, prediction.masks)


def regions_on_grid(probabilities: NDArray[np.float32], source: Grid, target: Grid) -> NDArray[np.bool_]:
    """Nested regions (3, z, y, x) on a grid.

    Where both grids have the same voxels in another order, this is exact; elsewhere the probabilities are
    interpolated linearly and then thresholded, which keeps borders to within a voxel.
    """
    regions = []
    for probability in probabilities:
        image = sitk.DICOMOrient(source.image(probability), target.orientation)
        if not Grid.of(image).same_as(target):
            image = target.resample(image)
        regions.append(sitk.GetArrayViewFromImage(image) > _THRESHOLD)
    whole, core, enhancing = regions
    core = core & whole
    return np.stack([whole, core, enhancing & core])
