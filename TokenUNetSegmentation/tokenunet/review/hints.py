"""From segmentation and attention masks to a list of places worth a second look.

The masks come from the encoder, before the decoder draws the segmentation: where the decoder misses tumor that the
encoder has seen, masks that follow tumor are high outside the segmentation (discussion of the Token-UNet paper).

The limits were chosen on synthetic patients with other seeds than those of the measurement
(`tools.review_candidates`), so that next to nothing is listed where the decoder is left as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid, Triple
from tokenunet.core.prediction import AttentionMaps
from tokenunet.review.following import MapLevels, likeness, tumor_following

_REFINEMENT = 4
"""Working voxels along each side of a mask's voxel."""
_MARGIN = _REFINEMENT // 2
"""Working voxels around the segmentation that are not listed: so far its own mask voxels reach, half their width."""
_EXTENT, _PEAK = 0.5, 0.75
"""A hint reaches as far as the masks are half as high as in the tumor, and somewhere they are nearly as high."""
_LEAST_ML = 0.5


class Basis(StrEnum):
    """From where it is known which masks follow tumor."""

    PATIENT = "patient"
    """Measured on this patient's segmentation."""
    MODEL = "model"
    """Next to nothing was segmented; known from the synthetic patients that the model was tried on."""
    NONE = "none"
    """Not known, or no mask does: there is no list, which does not mean that nothing was missed."""


@dataclass(frozen=True)
class ReviewHint:
    """A region outside the segmentation where the tumor-following masks are high.

    Attributes:
        number: from 1, by falling volume.
        volume_ml: of the region.
        peak: the highest value of the combined masks; 1 is their median inside the tumor.
        center: the region's voxel next to its centroid, in LPS mm.
        masks: those that are high there themselves.
    """

    number: int
    volume_ml: float
    peak: float
    center: Triple
    masks: tuple[MapLevels, ...]


@dataclass(frozen=True)
class ReviewHints:
    """All hints of one patient.

    Attributes:
        hints: by falling volume.
        labels: (D', H', W'), each hint's number in its voxels, 0 elsewhere.
        grid: of the labels, a quarter of the masks' voxels wide.
        following: the masks used.
        basis: how they were found.
    """

    hints: tuple[ReviewHint, ...]
    labels: NDArray[np.uint16]
    grid: Grid
    following: tuple[MapLevels, ...]
    basis: Basis

    def voxels(self, number: int, grid: Grid) -> NDArray[np.bool_]:
        """A hint on another grid: (D, H, W)."""
        region = self.grid.image((self.labels == number).astype(np.uint8))
        return sitk.GetArrayFromImage(grid.resample(region, sitk.sitkNearestNeighbor)).astype(bool)


def find_review_hints(
    segmented: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    grid: Grid,
    masks: AttentionMaps,
    known: tuple[MapLevels, ...] = (),
) -> ReviewHints:
    """Lists the regions outside the segmentation where the tumor-following masks are high.

    Args:
        segmented: (D, H, W), the whole tumor as it is segmented.
        brain: (D, H, W); nothing is listed outside it.
        grid: of both.
        masks: of the same patient.
        known: which masks follow tumor, for a patient in whom too little is segmented to measure it.
    """
    for found in review_steps(segmented, brain, grid, masks, known):
        if found is not None:
            return found
    raise AssertionError("the last step gives the hints")


def review_steps(
    segmented: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    grid: Grid,
    masks: AttentionMaps,
    known: tuple[MapLevels, ...] = (),
) -> Iterator[ReviewHints | None]:
    """As `find_review_hints`, in short steps so that a window need not stand still; the last gives the hints."""
    work = masks.grid.with_spacing(tuple(s / _REFINEMENT for s in masks.grid.spacing))  # type: ignore[arg-type]
    tumor_image = work.resample(grid.image(segmented.astype(np.uint8)), sitk.sitkNearestNeighbor)
    yield None
    brain_image = work.resample(grid.image(brain.astype(np.uint8)), sitk.sitkNearestNeighbor)
    yield None
    near_image = sitk.BinaryDilate(tumor_image, [_MARGIN] * 3)
    yield None
    tumor, near, inside_brain = (_shares(image) for image in (tumor_image, near_image, brain_image))
    following = tumor_following(masks, tumor >= 0.5, (near == 0) & (inside_brain >= 0.5))
    yield None
    basis = Basis.PATIENT
    if following is None:
        # TokenLearner's masks share out one sum over each brain: their levels in other patients say nothing here.
        following = tuple(levels for levels in known if levels.kind == "token_fuser")
        basis = Basis.MODEL
    if not following:
        yield ReviewHints((), np.zeros(work.size[::-1], np.uint16), work, (), Basis.NONE)
        return

    each: dict[MapLevels, sitk.Image] = {}
    for levels in following:
        each[levels] = work.resample(masks.grid.image(likeness(masks, levels)))
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
    yield ReviewHints(
        tuple(_described(labels, combined, means)),
        sitk.GetArrayFromImage(labels).astype(np.uint16),
        work,
        following,
        basis,
    )


def _statistics(labels: sitk.Image, image: sitk.Image) -> sitk.LabelIntensityStatisticsImageFilter:
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(labels, image)
    return statistics


def _described(
    labels: sitk.Image, combined: sitk.Image, means: dict[MapLevels, dict[int, float]]
) -> Iterator[ReviewHint]:
    values = _statistics(labels, combined)
    for label in values.GetLabels():
        yield ReviewHint(
            number=label,
            volume_ml=values.GetPhysicalSize(label) / 1000,
            peak=values.GetMaximum(label),
            center=_middle_voxel(labels, label, values.GetCentroid(label)),
            masks=tuple(levels for levels, mean in means.items() if mean[label] >= _EXTENT),
        )


def _middle_voxel(labels: sitk.Image, label: int, centroid: Triple) -> Triple:
    """A bent region's centroid may lie outside it; the nearest of its voxels does not."""
    indices = np.argwhere(sitk.GetArrayViewFromImage(labels) == label)[:, ::-1]
    middle = np.array(labels.TransformPhysicalPointToContinuousIndex(centroid))
    nearest = indices[np.square(indices - middle).sum(axis=1).argmin()]
    return labels.TransformIndexToPhysicalPoint(nearest.tolist())


def _shares(image: sitk.Image) -> NDArray[np.float32]:
    """How much of each of the masks' voxels a region on the working grid takes: (d, h, w), 0 to 1."""
    return sitk.GetArrayFromImage(sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), [_REFINEMENT] * 3))
