"""What surrounds the brain in a skull-stripped scan."""

import numpy as np
from numpy.typing import NDArray

_RIPPLE = 1e-3
"""Of a scan's brightest values: what resampling with splines or sinc functions leaves around a brain."""


def background_value(array: NDArray[np.floating]) -> float:
    """The value that a skull-stripped scan (D, H, W) has outside the brain: the median of its six faces.

    Mostly 0; scans that someone has normalized or shifted before have another.
    """
    faces = [array[[0, -1]], array[:, [0, -1]], array[:, :, [0, -1]]]
    return float(np.median(np.concatenate([face.ravel() for face in faces])))


def foreground(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where a skull-stripped scan (D, H, W) is not background, but for ripples of a thousandth of its values."""
    distance = np.abs(array - np.float32(background_value(array)))
    usual = float(np.quantile(distance[::4, ::4, ::4], 0.99))
    return distance > _RIPPLE * usual
