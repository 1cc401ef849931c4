"""Inverse transform: from the model's space back to the grids of the scans."""

from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.overlays import Overlay
from tokenunet.core.prediction import Prediction
from tokenunet.core.regions import ET_LABEL, labels_from_regions
from tokenunet.core.sequences import SequenceName
from tokenunet.measurement import volumes_ml
from tokenunet.preprocessing.prepare import Prepared

_THRESHOLD = 0.5
"""Probability above which a voxel is segmented."""


@dataclass(frozen=True)
class Result:
    """One patient's segmentation on the grids of the scans.

    Attributes:
        regions: Nested regions WT, TC and ET on `grid`, (3, z, y, x).
        labels: Exclusive labels on `grid`, (z, y, x).
        grid: Grid of the reference scan.
        other_labels: Exclusive labels and grid of each sequence that has another grid.
        volumes_ml: Volumes of WT, TC, ET, NCR and ED on `grid`, in ml.
        overlays: Maps to display over the scans; those on the prepared grid are brought to `grid`, others, such as
            attention maps, keep theirs.
        volumes_range_ml: Smallest and largest of the volumes of an ensemble's members, in ml; empty for a single
            network. If the members mark different regions, `volumes_ml`, of their averaged probabilities, may be
            outside.
    """

    regions: NDArray[np.bool_]
    labels: NDArray[np.uint8]
    grid: Grid
    other_labels: dict[SequenceName, tuple[NDArray[np.uint8], Grid]]
    volumes_ml: dict[str, float]
    overlays: tuple[Overlay, ...]
    volumes_range_ml: dict[str, tuple[float, float]] = field(default_factory=dict)


def restore(prediction: Prediction, prepared: Prepared, et_label: int = ET_LABEL) -> Result:
    """Threshold the probabilities on the reference's grid and on every other native grid.

    Args:
        prediction: Prediction on the prepared grid.
        prepared: Patient in the model's space, with the grids of its scans.
        et_label: Value of enhancing tumor in the labels.
    """
    grid = prepared.reference_grid
    regions = regions_on_grid(prediction.probabilities, prepared.grid, grid)
    labels = labels_from_regions(regions, et_label)
    others = {
        sequence: (
            labels_from_regions(
                regions_on_grid(prediction.probabilities, prepared.grid, other, _from_sequence(prepared, sequence)),
                et_label,
            ),
            other,
        )
        for sequence, other in prepared.other_grids.items()
    }
    overlays = tuple(_overlay_on_grid(overlay, prepared.grid, grid) for overlay in prediction.overlays)
    result = Result(regions, labels, grid, others, volumes_ml(regions, grid), overlays)
    if prediction.members is None:
        return result
    volumes = [volumes_ml(regions_on_grid(member, prepared.grid, grid), grid) for member in prediction.members]
    return replace(
        result,
        volumes_range_ml={n: (min(v[n] for v in volumes), max(v[n] for v in volumes)) for n in result.volumes_ml},
    )


def _overlay_on_grid(overlay: Overlay, source: Grid, target: Grid) -> Overlay:
    """Return an overlay of the prepared grid on the reference's grid, and any other as it is."""
    if overlay.grid != source:
        return overlay
    return replace(overlay, array=sitk.GetArrayFromImage(_on_grid(overlay.array, source, target)), grid=target)


def _from_sequence(prepared: Prepared, sequence: SequenceName) -> sitk.Transform | None:
    """Return the transform from the sequence's own space to the reference's."""
    alignment = prepared.alignments.get(sequence)
    return None if alignment is None else alignment.transform.GetInverse()


def regions_on_grid(
    probabilities: NDArray[np.float32], source: Grid, target: Grid, transform: sitk.Transform | None = None
) -> NDArray[np.bool_]:
    """Return the nested regions on a grid, (3, z, y, x).

    If both grids have the same voxels in another order, this is exact. Otherwise the probabilities are interpolated
    linearly and then thresholded, which keeps borders to within a voxel.

    Args:
        probabilities: Probabilities of WT, TC and ET on `source`, (3, D, H, W).
        source: Grid of the probabilities.
        target: Grid of the regions.
        transform: Transform from the target's space to the source's; None if they are the same.
    """
    regions = []
    for probability in probabilities:
        image = _on_grid(probability, source, target, transform)
        regions.append(sitk.GetArrayViewFromImage(image) > _THRESHOLD)
    whole, core, enhancing = regions
    core = core & whole
    return np.stack([whole, core, enhancing & core])


def _on_grid(
    values: NDArray[np.float32], source: Grid, target: Grid, transform: sitk.Transform | None = None
) -> sitk.Image:
    """Bring values from one grid onto another, without interpolation if both have the same voxels."""
    image = sitk.DICOMOrient(source.image(values), target.orientation)
    exact = transform is None and Grid.of(image).same_as(target)
    return image if exact else target.resample(image, transform=transform)
