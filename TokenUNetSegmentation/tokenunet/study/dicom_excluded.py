"""Reasons why DICOM series are not scans of a head."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokenunet.study.dicom_header import MR_CLASSES, DicomHeader

FEWEST_SLICES = 8
"""Fewer slices do not show a brain."""
_SAME_DIRECTION = 5e-3
"""Tolerance of the components of direction vectors."""


def why_excluded(headers: Sequence[DicomHeader]) -> str:
    """Return the sentence that says why a series is not a scan of a head; empty if it may be one.

    Args:
        headers: Headers of all its files.
    """
    tags = headers[0].tags
    directions = _directions(headers)
    slices = sum(header.frames for header in headers)
    reasons = {
        "It is a picture of a screen.": tags.secondary_capture,
        f"It is not an MR image but {tags.modality or 'of unknown kind'}.": tags.modality != "MR",
        "It is not an image of an MR scanner.": tags.sop_class not in MR_CLASSES,
        "It is in color, as overlays and renderings are.": any(header.color for header in headers),
        "Its slices are tiles of one image (mosaic): convert it to NIfTI.": "MOSAIC" in tags.image_type,
        "Text is drawn into its images.": any(header.tags.burned_in for header in headers),
        "It is a localizer.": any("LOCALIZER" in header.tags.image_type for header in headers),
        f"Its slices have {directions} directions, as those of a localizer do.": directions > 1,
        "It has a single slice." if slices == 1 else f"It has only {slices} slices.": slices < FEWEST_SLICES,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _directions(headers: Sequence[DicomHeader]) -> int:
    """Return the number of different orientations of the slices."""
    found: list[NDArray[np.float64]] = []
    for orientation in (header.orientation for header in headers):
        if not any(_same_direction(orientation, known) for known in found):
            found.append(orientation)
    return len(found)


def _same_direction(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=_SAME_DIRECTION))
