"""From four scans to what the network takes: one grid, one orientation, the brain, normalised.

    study -> on_common_grid -> brain_mask -> normalise -> Prepared

Scans that already share a grid with the model's spacing are only flipped and permuted, never resampled.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenunet.background import background_value
from tokenunet.errors import GridMismatchError, UnusableImageError
from tokenunet.grid import Grid, Triple
from tokenunet.preprocessing.findings import Finding
from tokenunet.preprocessing.study import Study
from tokenunet.sequences import SequenceName

_SPACING_TOLERANCE = 1e-3
_LEAST_COVERAGE = 0.5
"""Of the reference's field of view by each other scan; less, and the scans show different things."""
_BRAIN_ML = (200.0, 2200.0)
"""Volume of what is not background in a skull-stripped scan."""


@dataclass(frozen=True)
class ModelSpace:
    """What a model's input looks like.

    Attributes:
        channels: sequences in the order of the tensor's channels.
        spacing: voxel size along x, y and z, in mm.
        orientation: three letters towards which x, y and z grow.
    """

    channels: tuple[SequenceName, ...]
    spacing: Triple
    orientation: str


@dataclass(frozen=True)
class Prepared:
    """One patient as the network takes it, and the way back.

    Attributes:
        tensor: (C, D, H, W), float32; each channel has zero mean and unit variance inside the brain, 0 outside.
        brain: (D, H, W).
        grid: of the tensor.
        reference_grid: where the results shall lie.
        other_grids: of the sequences whose native grid is not the reference's.
        findings: what the user should know.
    """

    tensor: Tensor
    brain: NDArray[np.bool_]
    grid: Grid
    reference_grid: Grid
    other_grids: dict[SequenceName, Grid]
    findings: tuple[Finding, ...]


def prepare(study: Study, space: ModelSpace) -> Prepared:
    """Brings a study into a model's space.

    Raises:
        GridMismatchError: where a scan does not show the part of space that the reference shows.
        UnusableImageError: where a scan is empty inside the brain.
    """
    grid, images = on_common_grid(study, space)
    arrays = {sequence: sitk.GetArrayFromImage(image) for sequence, image in images.items()}
    brain, findings = brain_mask(arrays, study, grid)
    reference_grid = Grid.of(study.scans[study.reference].image)
    native = {sequence: Grid.of(scan.image) for sequence, scan in study.scans.items()}
    return Prepared(
        tensor=torch.stack([normalise(arrays[s], brain, study.scans[s].source) for s in space.channels]),
        brain=brain,
        grid=grid,
        reference_grid=reference_grid,
        other_grids={s: g for s, g in native.items() if not g.same_as(reference_grid)},
        findings=findings,
    )


def on_common_grid(study: Study, space: ModelSpace) -> tuple[Grid, dict[SequenceName, sitk.Image]]:
    """All scans on the reference's field of view, in the model's orientation and spacing.

    Linear interpolation: it never overshoots, so the background of a skull-stripped scan stays 0.
    """
    oriented = {s: sitk.DICOMOrient(scan.image, space.orientation) for s, scan in study.scans.items()}
    grid = Grid.of(oriented[study.reference])
    if not np.allclose(grid.spacing, space.spacing, rtol=_SPACING_TOLERANCE):
        grid = grid.with_spacing(space.spacing)
    images = {}
    for sequence, image in oriented.items():
        own = Grid.of(image)
        coverage = grid.covered_by(own)
        if coverage < _LEAST_COVERAGE:
            raise GridMismatchError(
                f"{study.scans[sequence].source} ({sequence}) covers only {coverage:.0%} of what "
                f"{study.scans[study.reference].source} ({study.reference}) shows.",
                "Choose four scans of one session, or register them to each other first.",
            )
        images[sequence] = image if own.same_as(grid) else grid.resample(image)
    return grid, images


def brain_mask(
    arrays: dict[SequenceName, NDArray[np.float32]], study: Study, grid: Grid
) -> tuple[NDArray[np.bool_], tuple[Finding, ...]]:
    """Where the brain is (D, H, W): of skull-stripped scans, wherever any of them is not background.

    Scans with a skull get a mask of the whole head and a finding that says so.
    """
    mask = np.logical_or.reduce([array != background_value(array) for array in arrays.values()])
    volume_ml = mask.sum() * grid.voxel_ml
    if _BRAIN_ML[0] <= volume_ml <= _BRAIN_ML[1] and mask.mean() < 0.9:
        return mask, ()
    reference = grid.image(arrays[study.reference])
    head = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.OtsuThreshold(reference, 0, 1))).astype(bool)
    finding = Finding(
        "not_skull_stripped",
        "The scans do not look skull-stripped; the model was made for skull-stripped ones and may mark skull and "
        "scalp. Strip them first, for example with HD-BET or SynthStrip.",
    )
    return head, (finding,)


def normalise(array: NDArray[np.float32], brain: NDArray[np.bool_], source: str) -> Tensor:
    """The array (D, H, W) with zero mean and unit variance inside the brain, 0 outside."""
    values = torch.from_numpy(array)
    inside = torch.from_numpy(brain)
    std, mean = torch.std_mean(values[inside])
    if not std > 0:
        raise UnusableImageError(f"{source} is constant inside the brain.", "Choose another scan.")
    return torch.where(inside, (values - mean) / std, 0.0)
