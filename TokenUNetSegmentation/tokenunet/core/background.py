"""Background of skull-stripped scans and padding around scans."""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

_RIPPLE = 1e-3
"""Largest background value, as a fraction of the brightest: splines and sinc functions ring around a brain."""
_MOST_NOISE = 5.0
"""Largest distance of noise from the background, in standard deviations."""
_HIDING = 0.02
"""Intensity as a fraction of the brightest; noise that hides it hides parts of a head."""
MAD_TO_SD = 1.4826
"""Standard deviation of normal noise, as a multiple of its median absolute deviation."""
_LEAST_PADDING = 0.01
"""Smallest share of the scan, and of its outermost voxels, that counts as padding."""
_PADDING_DISTANCE = 1.0
"""Smallest distance of padding from the 5th to 95th percentile, as a multiple of that range."""
_DARK = 0.1
"""Upper end of the values of air, as a fraction of the range from the 1st to the 99th percentile."""
_LEAST_AIR = 0.2
"""Smallest share of air among voxels without padding; the darkest part of a brain is smaller."""
_SAMPLING = 7
"""Stride of the voxels from which percentiles are taken."""
_SENTINEL = 1e3
"""Distance of a background, as a multiple of the range of the other values, that spoils arithmetic with them."""
_BELOW = 0.1
"""Distance of a background below all other values, as a fraction of their range, if some are negative."""
_COARSE = 3
"""Stride of the voxels among which a second background is looked for."""
_FLAT = 0.7
"""Share of the voxels of a second background whose next neighbors have the same value; that of tissue is smaller."""
_BETWEEN = 2
"""Distance in voxels from two backgrounds up to which values between them are interpolated ones."""


def background_value(array: NDArray[np.floating]) -> float:
    """Return the value outside the brain of a skull-stripped scan: the median of its six faces.

    It is mostly 0; scans that were normalized or shifted before have another.

    Args:
        array: Scan, (D, H, W).
    """
    return float(np.median(_faces(array)))


def above_background(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a scan differs from its background by more than resampling artifacts and noise.

    Args:
        array: Scan, (D, H, W).
    """
    distance = array - np.float32(background_value(array))
    np.abs(distance, out=distance)
    usual = float(np.quantile(distance[::4, ::4, ::4], 0.99))
    return distance > max(_RIPPLE * usual, _MOST_NOISE * background_noise(array))


def foreground(array: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where a skull-stripped scan shows the brain; in a noisy background, its largest piece.

    Args:
        array: Scan, (D, H, W).
    """
    shown = above_background(array)
    if not background_noise(array):
        return shown
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(shown.astype(np.uint8)))
    return sitk.GetArrayFromImage(sitk.RelabelComponent(pieces)) == 1


def background_noise(array: NDArray[np.floating]) -> float:
    """Return the standard deviation of the noise around a brain, on its six faces; 0 if the background is constant.

    Args:
        array: Scan, (D, H, W).
    """
    faces = _faces(array)
    return float(MAD_TO_SD * np.median(np.abs(faces - np.median(faces))))


def hides_in_noise(array: NDArray[np.floating]) -> bool:
    """Return whether the noise around a brain or head is so strong that dark parts of it do not show.

    Args:
        array: Scan, (D, H, W).
    """
    distance = np.abs(array[::4, ::4, ::4] - np.float32(background_value(array)))
    return _MOST_NOISE * background_noise(array) > _HIDING * float(np.quantile(distance, 0.99))


def find_padding(array: NDArray[np.floating]) -> tuple[NDArray[np.bool_], float] | None:
    """Find the voxels that a scanner or a reformat filled with an extreme value, such as -32768.

    A background that reaches the brain itself, as in a scan that was stripped with -1024, is not padding, unless it is
    so far from all other values that sums with them lose their digits, as -1e10.

    Args:
        array: Scan, (D, H, W).

    Returns:
        Padded voxels (D, H, W) and the value to replace them: that of the air next to them; None if there are none.
    """
    for extreme, sign in ((array.min(), 1), (array.max(), -1)):
        if not extreme or (_faces(array) == extreme).mean() < _LEAST_PADDING:
            continue
        padded = array == extreme
        if padded.mean() < _LEAST_PADDING:
            continue
        values = array[~padded][::_SAMPLING]
        if not values.size:
            continue
        low, high = np.percentile(values, [5, 95])
        limit = _PADDING_DISTANCE * (high - low)
        if abs(float(extreme)) > _SENTINEL * max(abs(float(values.min())), abs(float(values.max()))):
            return padded, background_below(array[~padded])
        # Interpolation leaves values between padding and air where they meet.
        padded = array < low - limit if sign > 0 else array > high + limit
        air = _air_next_to(array, padded) if padded.any() else None
        if air is not None:
            return padded, air
    return None


def find_corners(array: NDArray[np.floating]) -> tuple[NDArray[np.bool_], float] | None:
    """Find the surroundings of a scan if they have two values, as after a rotation that filled the corners with 0.

    Args:
        array: Scan, (D, H, W).

    Returns:
        Voxels of both values, and between them, (D, H, W), with the value that is farther from all others; None if the
        surroundings have one value.
    """
    coarse = array[:-1:_COARSE, :-1:_COARSE, :-1:_COARSE]
    values, counts = np.unique(coarse, return_counts=True)
    often = [values[k] for k in np.argsort(counts)[:-3:-1] if counts[k] > _LEAST_PADDING * coarse.size]
    shifted = [array[1::_COARSE, :-1:_COARSE, :-1:_COARSE], array[:-1:_COARSE, :-1:_COARSE, 1::_COARSE]]
    if len(often) < 2 or any(
        (other[: len(coarse), :, : coarse.shape[2]] == value)[coarse == value].mean() < _FLAT
        for value in often
        for other in shifted
    ):
        return None
    masks = [sitk.GetImageFromArray((array == value).astype(np.uint8)) for value in often]
    near = [sitk.BinaryDilate(mask, [_BETWEEN] * 3) for mask in masks]
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(masks[0] | masks[1] | (near[0] & near[1])))
    outside = np.isin(pieces, np.setdiff1d(_faces(pieces), [0]))
    if not all(outside[array == value].any() for value in often) or outside.all():
        return None
    middle = float(np.median(array[~outside]))
    return outside, float(max(often, key=lambda value: abs(float(value) - middle)))


def background_below(values: NDArray[np.floating]) -> float:
    """Return a value of background for a scan whose own background is unusable, as NaN is.

    Args:
        values: All other values of the scan.

    Returns:
        0, or a value below the others if some of them are negative.
    """
    low, high = float(values.min()), float(values.max())
    return 0.0 if low >= 0 else low - _BELOW * (high - low)


def _air_next_to(array: NDArray[np.floating], padded: NDArray[np.bool_]) -> float | None:
    """Return the median value next to padding; None if that is tissue rather than air."""
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
