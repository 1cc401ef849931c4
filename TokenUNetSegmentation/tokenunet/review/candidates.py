"""Review candidates from a segmentation and attention maps.

The maps depend on the encoder only: where the decoder misses tumor that the encoder has detected, tumor-selective maps
are high outside the segmentation (discussion of the Token-UNet paper).

The thresholds were chosen on synthetic patients with other seeds than those of the measurement
(`tools.review_candidates`), so that hardly anything is listed for an unmodified decoder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid, Triple
from tokenunet.core.prediction import AttentionMaps
from tokenunet.review.selectivity import MapLevels, tumor_score, tumor_selective

_REFINEMENT = 4
"""Number of working voxels along each side of a map's voxel."""
_MARGIN = _REFINEMENT // 2
"""Margin around the segmentation that is not listed, in working voxels: half the width of a map's voxel."""
_EXTENT, _PEAK = 0.5, 0.75
"""Smallest tumor score in a candidate, and at its peak; 1 is the median in the tumor."""
_LEAST_ML = 0.5
"""Smallest volume of a candidate in ml."""


class Basis(StrEnum):
    """Source of the knowledge which maps are tumor-selective."""

    PATIENT = "patient"
    """Measured on this patient's segmentation."""
    MODEL = "model"
    """Measured on synthetic patients with the same model, since hardly anything is segmented in this patient."""
    NONE = "none"
    """Unknown, or no map is selective: there is no list, which does not mean that nothing was missed."""


@dataclass(frozen=True)
class ReviewCandidate:
    """Region outside the segmentation where the tumor-selective maps are high.

    Attributes:
        number: Number from 1, by decreasing volume.
        volume_ml: Volume of the region in ml.
        peak: Highest mean tumor score of the maps; 1 is their median inside the tumor.
        center: Voxel of the region that is nearest to its centroid, in LPS mm.
        maps: Maps that are high in the region themselves.
    """

    number: int
    volume_ml: float
    peak: float
    center: Triple
    maps: tuple[MapLevels, ...]


@dataclass(frozen=True)
class ReviewCandidates:
    """All review candidates of one patient.

    Attributes:
        candidates: Candidates by decreasing volume.
        labels: Labelmap (D', H', W') of the candidates' numbers, 0 elsewhere.
        grid: Grid of the labelmap, whose voxels are a quarter as wide as those of the maps.
        selective_maps: Tumor-selective maps that were used.
        basis: Source of the knowledge which maps are tumor-selective.
    """

    candidates: tuple[ReviewCandidate, ...]
    labels: NDArray[np.uint16]
    grid: Grid
    selective_maps: tuple[MapLevels, ...]
    basis: Basis

    def voxels(self, number: int, grid: Grid) -> NDArray[np.bool_]:
        """Return the mask (D, H, W) of a candidate on another grid.

        Args:
            number: Number of the candidate.
            grid: Target grid.
        """
        region = self.grid.image((self.labels == number).astype(np.uint8))
        return sitk.GetArrayFromImage(grid.resample(region, sitk.sitkNearestNeighbor)).astype(bool)


def find_review_candidates(
    segmented: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    grid: Grid,
    maps: AttentionMaps,
    known: tuple[MapLevels, ...] = (),
) -> ReviewCandidates:
    """Find the regions outside the segmentation where the tumor-selective maps are high.

    Args:
        segmented: Segmented whole tumor (D, H, W).
        brain: Brain mask (D, H, W); nothing is listed outside it.
        grid: Grid of both.
        maps: Attention maps of the same patient.
        known: Tumor-selective maps of the model, for a patient in whom too little is segmented to measure them.
    """
    for found in review_steps(segmented, brain, grid, maps, known):
        if found is not None:
            return found
    raise AssertionError("the last step yields the candidates")


def review_steps(
    segmented: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    grid: Grid,
    maps: AttentionMaps,
    known: tuple[MapLevels, ...] = (),
) -> Iterator[ReviewCandidates | None]:
    """Find review candidates in short steps, between which a user interface stays responsive.

    Takes the arguments of `find_review_candidates`.

    Yields:
        None after each step, and the candidates after the last one.
    """
    work = maps.grid.with_spacing(tuple(s / _REFINEMENT for s in maps.grid.spacing))  # type: ignore[arg-type]
    tumor_image = work.resample(grid.image(segmented.astype(np.uint8)), sitk.sitkNearestNeighbor)
    yield None
    brain_image = work.resample(grid.image(brain.astype(np.uint8)), sitk.sitkNearestNeighbor)
    yield None
    near_image = sitk.BinaryDilate(tumor_image, [_MARGIN] * 3)
    yield None
    tumor, near, inside_brain = (_shares(image) for image in (tumor_image, near_image, brain_image))
    selective = tumor_selective(maps, tumor >= 0.5, (near == 0) & (inside_brain >= 0.5))
    yield None
    basis = Basis.PATIENT
    if selective is None:
        # A TokenLearner map sums to one over each brain, so that its levels do not carry over from other patients.
        selective = tuple(levels for levels in known if levels.kind == "token_fuser")
        basis = Basis.MODEL
    if not selective:
        yield ReviewCandidates((), np.zeros(work.size[::-1], np.uint16), work, (), Basis.NONE)
        return

    each: dict[MapLevels, sitk.Image] = {}
    for levels in selective:
        each[levels] = work.resample(maps.grid.image(tumor_score(maps, levels)))
        yield None
    combined = sum(each.values(), start=0.0 * next(iter(each.values()))) / len(each)
    candidates = sitk.Mask(combined, brain_image & (near_image == 0))
    yield None
    regions = sitk.DoubleThreshold(candidates, _EXTENT, _PEAK, np.inf, np.inf)
    yield None
    least_voxels = int(np.ceil(_LEAST_ML / work.voxel_ml))
    labels = sitk.RelabelComponent(sitk.ConnectedComponent(regions), least_voxels)
    yield None
    means: dict[MapLevels, dict[int, float]] = {}
    for levels, image in each.items():
        values = _statistics(labels, image)
        means[levels] = {label: values.GetMean(label) for label in values.GetLabels()}
        yield None
    yield ReviewCandidates(
        tuple(_described(labels, combined, means)),
        sitk.GetArrayFromImage(labels).astype(np.uint16),
        work,
        selective,
        basis,
    )


def _statistics(labels: sitk.Image, image: sitk.Image) -> sitk.LabelIntensityStatisticsImageFilter:
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(labels, image)
    return statistics


def _described(
    labels: sitk.Image, combined: sitk.Image, means: dict[MapLevels, dict[int, float]]
) -> Iterator[ReviewCandidate]:
    values = _statistics(labels, combined)
    for label in values.GetLabels():
        yield ReviewCandidate(
            number=label,
            volume_ml=values.GetPhysicalSize(label) / 1000,
            peak=values.GetMaximum(label),
            center=_middle_voxel(labels, label, values.GetCentroid(label)),
            maps=tuple(levels for levels, mean in means.items() if mean[label] >= _EXTENT),
        )


def _middle_voxel(labels: sitk.Image, label: int, centroid: Triple) -> Triple:
    """Return the region's voxel nearest to its centroid, which may be outside a bent region."""
    indices = np.argwhere(sitk.GetArrayViewFromImage(labels) == label)[:, ::-1]
    middle = np.array(labels.TransformPhysicalPointToContinuousIndex(centroid))
    nearest = indices[np.square(indices - middle).sum(axis=1).argmin()]
    return labels.TransformIndexToPhysicalPoint(nearest.tolist())


def _shares(image: sitk.Image) -> NDArray[np.float32]:
    """Return the share (d, h, w), from 0 to 1, of each map voxel that is in a region on the working grid."""
    return sitk.GetArrayFromImage(sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), [_REFINEMENT] * 3))
