"""What surrounds the brain in a skull-stripped scan, and the padding around any scan."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

_RIPPLE = 1e-3
"""Of a scan's brightest values: what resampling with splines or sinc functions leaves around a brain."""
_LEAST_PADDING = 0.01
"""Share of the scan, and of its outermost voxels, that padding fills."""
_PADDING_DISTANCE = 1.0
"""Between padding and the usual values, in ranges of the usual values."""
_DARK = 0.1
"""Part of the range of the usual values that air around a head stays in."""
_LEAST_AIR = 0.2
"""Share of what is not padded; the darkest part of a brain is smaller."""
_SAMPLING = 7


def background_value(array: NDArray[np.floating]) -> float:
    """Return the value that a skull-stripped scan has outside the brain: the median of its six faces.

    Mostly 0; scans that someone has normalized or shifted before have another.

    Args:
        array: Scan, (D, H, W).
    """
    return float(np.median(_faces(array)))


def foreground(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a skull-stripped scan is not background.

    Background may ripple by a thousandth of the scan's values.

    Args:
        array: Scan, (D, H, W).
    """
    distance = np.abs(array - np.float32(background_value(array)))
    usual = float(np.quantile(distance[::4, ::4, ::4], 0.99))
    return distance > _RIPPLE * usual


def find_padding(array: NDArray[np.floating]) -> tuple[NDArray[np.bool_], float] | None:
    """Find the voxels that a reformat or a scanner filled with an extreme value, such as -32768.

    A background that reaches the brain itself, as in a scan that was stripped with -1024, is no padding.

    Args:
        array: Scan, (D, H, W).

    Returns:
        The padded voxels and the value of the air next to them; None if there are none.
    """
    for extreme, sign in ((array.min(), 1), (array.max(), -1)):
        padded = array == extreme
        if not extreme or min(padded.mean(), _faces(padded).mean()) < _LEAST_PADDING:
            continue
        values = array[~padded][::_SAMPLING]
        if not values.size:
            continue
        low, high = np.percentile(values, [5, 95])
        limit = _PADDING_DISTANCE * (high - low)
        # Interpolation leaves values between padding and air where they meet.
        padded = array < low - limit if sign > 0 else array > high + limit
        air = _air_next_to(array, padded) if padded.any() else None
        if air is not None:
            return padded, air
    return None


def _air_next_to(array: NDArray[np.floating], padded: NDArray[np.bool_]) -> float | None:
    """Return the usual value where padding or the field of view ends; None if that is tissue rather than air."""
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(padded.astype(np.uint8)), [1, 1, 1])
    edge = sitk.GetArrayFromImage(grown).astype(bool) & ~padded
    at_edge, values = array[edge], array[~padded][::_SAMPLING]
    if not at_edge.size:
        return None
    low, high = np.percentile(values, [1, 99])
    air, brighter = np.percentile(at_edge, [50, 75])
    dark = low + _DARK * (high - low)
    return float(air) if brighter <= dark and (values <= dark).mean() >= _LEAST_AIR else None


def _faces(array: NDArray) -> NDArray:
    """Return the values of the six outermost layers."""
    faces = [array[[0, -1]], array[:, [0, -1]], array[:, :, [0, -1]]]
    return np.concatenate([face.ravel() for face in faces])
