"""Quality control page of raw scans: alignment, brain extraction and result.

With a bad alignment, edges break at the borders of the checkerboards, and jump when two pictures alternate.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from tokenunet.core.grid import Grid
from tokenunet.core.terminology import LABEL_STYLES
from tokenunet.io.page import render_page
from tokenunet.io.pictures import contoured, grays, png_url
from tokenunet.preprocessing import Prepared, Result
from tokenunet.preprocessing.register import LEAST_QUALITY
from tokenunet.study.scans import Study

_SPACING_MM = (1.0, 1.0, 1.0)
_SQUARE_MM = 24
_BRAIN_COLOR = (0.35, 1.0, 0.35)
_PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis (z, y, x) perpendicular to each plane, in an image with LPS orientation."""


@dataclass(frozen=True)
class AlignmentPictures:
    """Pictures of the alignment of one sequence to the reference.

    Attributes:
        sequence: Name of the sequence.
        shift_mm: Translation in mm, as in `tokenunet.preprocessing.Alignment`.
        rotation_degrees: Rotation in degrees.
        quality: Quality of the alignment, from 0 to 1.
        trusted: Whether the quality is sufficient.
        before: Checkerboards with the reference as positioned by the headers, as PNG data URLs.
        after: Checkerboards with the reference after alignment, as PNG data URLs.
    """

    sequence: str
    shift_mm: float
    rotation_degrees: float
    quality: float
    trusted: bool
    before: list[str]
    after: list[str]


def quality_page(study: Study, prepared: Prepared, result: Result) -> str:
    """Render the page as HTML.

    Args:
        study: Study as read from files.
        prepared: Prepared patient, with alignments and brain mask.
        result: Segmentation of the patient.
    """
    grid = _page_grid(prepared)
    brain = sitk.GetArrayFromImage(grid.resample(_image(prepared.grid, prepared.brain), sitk.sitkNearestNeighbor)) > 0
    labels = sitk.GetArrayFromImage(grid.resample(result.grid.image(result.labels), sitk.sitkNearestNeighbor))
    shown = _places(labels if labels.any() else brain)
    reference = grays(sitk.GetArrayViewFromImage(grid.resample(study.scans[study.reference].image)))
    alignments = []
    for sequence, alignment in prepared.alignments.items():
        image = study.scans[sequence].image
        scans = (grid.resample(image, transform=transform) for transform in (None, alignment.transform))
        before, after = (grays(sitk.GetArrayViewFromImage(scan)) for scan in scans)
        alignments.append(
            AlignmentPictures(
                sequence,
                alignment.shift_mm,
                alignment.rotation_degrees,
                alignment.quality,
                alignment.quality >= LEAST_QUALITY,
                *(list(_pictures(_checkerboard(reference, scan), shown)) for scan in (before, after)),
            )
        )
    outlined = contoured(reference, brain, _BRAIN_COLOR)
    tumor = outlined
    for style in LABEL_STYLES.values():
        tumor = contoured(tumor, labels == style.label, style.color)
    return render_page(
        "quality.html",
        reference=study.reference,
        alignments=alignments,
        brain_extracted=prepared.brain_extracted,
        brain_ml=float(prepared.brain.sum()) * prepared.grid.voxel_ml,
        brain=list(_pictures(outlined, _places(brain))),
        tumor=list(_pictures(tumor, shown)),
        square_mm=_SQUARE_MM,
    )


def _page_grid(prepared: Prepared) -> Grid:
    """Return the reference's grid in LPS orientation at 1 mm."""
    oriented = sitk.DICOMOrient(_image(prepared.grid, prepared.brain), "LPS")
    return Grid.of(oriented).with_spacing(_SPACING_MM)


def _image(grid: Grid, mask: NDArray[np.bool_]) -> sitk.Image:
    return grid.image(mask.astype(np.uint8))


def _places(mask: NDArray) -> tuple[int, int, int]:
    """Return the slice along each axis that contains most of a mask."""
    z, y, x = (int(np.argmax((mask > 0).sum(axis=tuple(a for a in range(3) if a != axis)))) for axis in range(3))
    return z, y, x


def _checkerboard(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    z, y, x = (np.arange(n) // _SQUARE_MM for n in one.shape[:3])
    odd = (z[:, None, None] + y[:, None] + x) % 2 == 1
    return np.where(odd[..., None], other, one)


def _pictures(rgb: NDArray[np.float32], places: tuple[int, int, int]) -> Iterator[str]:
    """Iterate over the three planes as PNG data URLs, with the head upright."""
    for axis in _PLANES.values():
        plane = np.take(rgb, places[axis], axis=axis)
        yield png_url(plane if axis == 0 else plane[::-1])
