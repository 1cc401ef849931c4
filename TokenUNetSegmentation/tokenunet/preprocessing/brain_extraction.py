"""Whether scans are skull-stripped, and where the brain is in those that are not."""

from collections.abc import Sequence

import SimpleITK as sitk

from tokenunet.background import background_value
from tokenunet.grid import Grid

_BRAIN_ML = (200.0, 2200.0)
"""Volume of what is not background in a skull-stripped scan."""
_MOST_FILLED = 0.9
"""Share of a skull-stripped scan that is not background."""


def is_stripped(image: sitk.Image) -> bool:
    """Whether a scan shows a brain on an even background, and nothing else of the head."""
    array = sitk.GetArrayViewFromImage(image)
    shown = array != background_value(array)
    low, high = _BRAIN_ML
    return bool(low <= shown.sum() * Grid.of(image).voxel_ml <= high and shown.mean() < _MOST_FILLED)


def extract_brain(images: Sequence[sitk.Image]) -> sitk.Image:
    """Binary mask of the brain on the first image's grid."""
    return sitk.BinaryFillhole(sitk.OtsuThreshold(images[0], 0, 1))
