"""What nnU-Net does with scans, windows and logits, so that imported models give the probabilities of nnU-Net itself.

    intensities -> box of nonzero voxels -> normalize -> resample -> windows of each fold -> mean logits
                -> resample back -> sigmoid or softmax -> whole volume

Normalization precedes resampling, and windows are added up in half precision, as `nnUNetPredictor` does both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from tokenunet.bundle.imported import NNUNET_OVERLAP, NnunetInference, Normalization, Resampling
from tokenunet.core.errors import UnusableImageError
from tokenunet.core.grid import Triple
from tokenunet.inference.forward import OnFraction

_SIGMA = 1 / 8
"""Width of the Gaussian weights, as a fraction of the window's size."""
_WEIGHT_OF_CENTER = 10
_ANISOTROPIC = 3
"""Ratio of voxel sizes from which on the axis of thick slices is resampled separately."""
_SMALLEST_STD = 1e-8

Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class NnunetInput:
    """One patient as a network of nnU-Net takes it, and what leads back.

    Attributes:
        tensor: Normalized scans (C, D, H, W), along the network's axes.
        spacing: Voxel size of the scans in mm, along the network's axes.
        box: Part of the volume in which any scan is nonzero.
        cropped: Size of that part before resampling.
        whole: Size of the whole volume.
    """

    tensor: Tensor
    spacing: Triple
    box: Box
    cropped: Shape
    whole: Shape


def prepare_nnunet(
    scans: NDArray[np.float32], spacing: Triple, plan: NnunetInference, normalizations: Sequence[Normalization]
) -> NnunetInput:
    """Crop, normalize and resample scans.

    Args:
        scans: Intensities (C, z, y, x), 0 outside the head or brain.
        spacing: Voxel size along z, y and x in mm.
        plan: What the model's plans say.
        normalizations: Normalization of each channel.

    Raises:
        UnusableImageError: If all scans are 0 everywhere.
    """
    data = scans.transpose(0, *(axis + 1 for axis in plan.axes)).astype(np.float32)
    ordered = (spacing[plan.axes[0]], spacing[plan.axes[1]], spacing[plan.axes[2]])
    nonzero = ndimage.binary_fill_holes((data != 0).any(axis=0))
    if not nonzero.any():
        raise UnusableImageError("All scans are empty.", "Choose other scans.")
    (box,) = ndimage.find_objects(nonzero.astype(np.uint8))
    whole, inside = data.shape[1:], nonzero[box]
    data = data[(slice(None), *box)].copy()
    for image, normalization in zip(data, normalizations, strict=True):
        _normalize(image, inside, normalization)
    new = [round(old / target * n) for old, target, n in zip(ordered, plan.spacing, inside.shape, strict=True)]
    resampled = _resample(data, (new[0], new[1], new[2]), ordered, plan.spacing, plan.data_resampling)
    return NnunetInput(torch.from_numpy(resampled), ordered, box, inside.shape, whole)


def _normalize(image: NDArray[np.float32], inside: NDArray[np.bool_], normalization: Normalization) -> None:
    """Normalize a scan in place."""
    if normalization == "nonzero_zscore":
        image[inside] = (image[inside] - image[inside].mean()) / max(image[inside].std(), _SMALLEST_STD)
    elif normalization == "zscore":
        mean, std = image.mean(), image.std()
        image -= mean
        image /= max(std, _SMALLEST_STD)
    elif normalization == "range_0_1":
        image -= image.min()
        image /= max(image.max(), _SMALLEST_STD)


def logits_of(
    network: nn.Module,
    tensor: Tensor,
    window: Sequence[int],
    mirror_axes: Sequence[int],
    on_fraction: OnFraction,
    place_input: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return logits (R, D, H, W) in half precision, of overlapping windows with Gaussian weights.

    Args:
        network: Network in evaluation mode.
        tensor: Normalized scans (C, D, H, W).
        window: Size of the windows.
        mirror_axes: Axes along which windows are predicted mirrored too; empty for none.
        on_fraction: Receives the progress, 0 to 1.
        place_input: Converts windows (1, C, D, H, W) to what the network takes.
    """
    padding = [max(w - n, 0) for w, n in zip(window, tensor.shape[1:], strict=True)]
    flat = [side for p in reversed(padding) for side in (p // 2, p - p // 2)]
    padded = torch.nn.functional.pad(tensor, flat)
    weights = _gaussian(tuple(window))
    starts = [_starts(n, w) for n, w in zip(padded.shape[1:], window, strict=True)]
    total = len(starts[0]) * len(starts[1]) * len(starts[2])
    summed: Tensor | None = None
    counts = torch.zeros(padded.shape[1:], dtype=torch.half)
    for done, start in enumerate(product(*starts), start=1):
        place = tuple(slice(s, s + w) for s, w in zip(start, window, strict=True))
        x = place_input(padded[(slice(None), *place)][None].contiguous())
        logits = _mirrored(network, x, mirror_axes)[0].cpu()
        if summed is None:
            summed = torch.zeros((len(logits), *padded.shape[1:]), dtype=torch.half)
        logits *= weights
        summed[(slice(None), *place)] += logits
        counts[place] += weights
        on_fraction(done / total)
    assert summed is not None
    summed /= counts
    kept = tuple(slice(p // 2, p // 2 + n) for p, n in zip(padding, tensor.shape[1:], strict=True))
    return summed[(slice(None), *kept)]


def _mirrored(network: nn.Module, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the mean of the logits of a window and of all its mirrored forms."""
    logits = network(x)
    flips = [tuple(a + 2 for a in c) for n in range(1, len(axes) + 1) for c in combinations(axes, n)]
    for flip in flips:
        logits += torch.flip(network(torch.flip(x, flip)), flip)
    return (logits / (len(flips) + 1)).float()


def _gaussian(window: tuple[int, ...]) -> Tensor:
    """Return the windows' weights in half precision, nowhere 0."""
    center = np.zeros(window)
    center[tuple(n // 2 for n in window)] = 1
    weights = ndimage.gaussian_filter(center, [n * _SIGMA for n in window], 0, mode="constant", cval=0)
    half = torch.from_numpy(weights / (weights.max() / _WEIGHT_OF_CENTER)).half()
    half[half == 0] = half[half > 0].min()
    return half


def _starts(size: int, window: int) -> list[int]:
    """Return the first voxels of windows along an axis, evenly spread."""
    steps = int(np.ceil((size - window) / (window * (1 - NNUNET_OVERLAP))))
    return [int(np.round((size - window) / steps * i)) for i in range(steps + 1)] if steps else [0]


def probabilities_of(logits: Tensor, given: NnunetInput, plan: NnunetInference, activation: str) -> Tensor:
    """Return probabilities (R, z, y, x) on the scans' grid, 0 outside the box of nonzero voxels.

    Args:
        logits: Logits (R, D, H, W) on the network's grid.
        given: What `prepare_nnunet` returned.
        plan: What the model's plans say.
        activation: `sigmoid` or `softmax`.
    """
    back = _resample(logits.numpy(), given.cropped, plan.spacing, given.spacing, plan.logit_resampling)
    inside = torch.from_numpy(back).float()
    inside = inside.softmax(dim=0) if activation == "softmax" else inside.sigmoid()
    whole = torch.zeros((len(inside), *given.whole))
    if activation == "softmax":
        whole[0] = 1
    whole[(slice(None), *given.box)] = inside
    return whole.permute(0, *(plan.axes.index(axis) + 1 for axis in range(3)))


def _resample(values: NDArray, size: Shape, spacing: Triple, new_spacing: Triple, how: Resampling) -> NDArray:
    """Resample (C, D, H, W) to a size, in double precision and then as the values are.

    Args:
        values: Scans or logits.
        size: Size afterwards.
        spacing: Voxel size before.
        new_spacing: Voxel size afterwards.
        how: Orders of the interpolation.
    """
    if values.shape[1:] == size:
        return values
    axis = _thick_axis(spacing, new_spacing, how.separate_z)
    result = np.empty((len(values), *size), values.dtype)
    for channel, target in zip(values, result, strict=True):
        source = channel.astype(float)
        if axis is None:
            target[:] = _resize(source, size, how.order)
            continue
        in_plane = tuple(n for a, n in enumerate(size) if a != axis)
        slices = [_resize(s, in_plane, how.order) for s in np.moveaxis(source, axis, 0)]
        stack = np.stack(slices, axis)
        target[:] = stack if stack.shape == size else _between_slices(stack, size, how.order_z)
    return result


def _between_slices(stack: NDArray, size: Shape, order: int) -> NDArray:
    steps = [old / new for old, new in zip(stack.shape, size, strict=True)]
    places = [s * (place + 0.5) - 0.5 for s, place in zip(steps, np.mgrid[tuple(map(slice, size))], strict=True)]
    return ndimage.map_coordinates(stack, np.array(places), order=order, mode="nearest")


def _resize(image: NDArray, size: Sequence[int], order: int) -> NDArray:
    """Interpolate as scikit-image's `resize` does, whose splines never leave the range of the image's values."""
    zoom = [1 / (old / new) for old, new in zip(image.shape, size, strict=True)]
    resized = ndimage.zoom(image, zoom, order=order, mode="nearest", grid_mode=True)
    return np.clip(resized, image.min(), image.max())


def _thick_axis(spacing: Triple, new_spacing: Triple, separate: bool | None) -> int | None:
    """Return the axis that is resampled separately, if any; ``separate`` None decides by the voxel sizes."""
    if separate is False:
        return None
    for sizes in _deciding(spacing, new_spacing, separate):
        thickest = [axis for axis, size in enumerate(sizes) if size == max(sizes)]
        return thickest[0] if len(thickest) == 1 else None
    return None


def _deciding(spacing: Triple, new_spacing: Triple, separate: bool | None) -> Iterator[Triple]:
    if separate:
        yield spacing
    else:
        yield from (sizes for sizes in (spacing, new_spacing) if max(sizes) / min(sizes) > _ANISOTROPIC)
