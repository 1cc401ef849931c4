"""Skull stripping: detection of skull-stripped scans, brain extraction and checks of the brain mask."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import safetensors.torch
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokenunet.core.background import above_background, hides_in_noise
from tokenunet.core.findings import Finding
from tokenunet.core.grid import Grid, thinned
from tokenunet.io.resources import resource

WEIGHTS_NAME = "weights.safetensors"
NETWORK_SHAPE = (80, 96, 80)
NETWORK_SPACING = 2.5
"""Spacing in mm of the network's grid, 200 x 240 x 200 mm, with z, y and x toward S, P and L."""
_ABOVE_HEAD_MM = 10.0
"""Margin of the network's grid above the head."""
_UPPER_HEAD_MM = 160.0
"""Extent below the top of the head that the grid is centered on; jaw and neck may be off the brain's center."""
_FOREGROUND = 0.15
"""Share of a scan's intensity range below which voxels count as air."""

_BRAIN_ML = (200.0, 2200.0)
"""Plausible volume of the foreground of a skull-stripped scan."""
_MOST_FILLED = 0.9
"""Upper limit of the foreground's share in a skull-stripped scan."""
_MOST_CUT_CM2 = 100.0
"""Upper limit of the foreground on one side of a skull-stripped scan; a slab of a whole head shows more."""
_SMOOTHED_ML = 2500.0
"""Upper limit of the foreground's volume after smoothing, which widens a brain."""
_SMOOTHED_CUT_CM2 = 60.0
"""Upper limit of that foreground on one side; the neck of a small head shows more."""
_PLAUSIBLE_ML = (700.0, 2200.0)
"""Plausible volume of an adult's whole brain."""
_CUT_CM2 = {"bottom": 60.0, "top": 20.0, "front": 20.0, "back": 20.0, "right": 20.0, "left": 20.0}
"""Area of brain on one side of the field of view from which on that side is taken to cut it.

The field of view of BraTS leaves out the lowest part of some cerebella."""


def is_stripped(image: sitk.Image) -> bool:
    """Return whether a scan shows only a brain on a background of one value or of noise.

    Args:
        image: Scan in any orientation and of any voxel size.
    """
    array, grid = sitk.GetArrayViewFromImage(image), Grid.of(image)
    shown = above_background(array)
    low, high = _BRAIN_ML
    plausible = low <= shown.sum() * grid.voxel_ml <= high and shown.mean() < _MOST_FILLED
    if not plausible or max(_cut_cm2(shown, grid)) > _MOST_CUT_CM2:
        return False
    return not hides_in_noise(array) or _is_brain_in_noise(image)


def _is_brain_in_noise(image: sitk.Image) -> bool:
    """Return whether a scan in strong noise shows no more than a brain, once the noise is smoothed away."""
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), image.GetSpacing())
    shown, grid = above_background(sitk.GetArrayViewFromImage(smooth)), Grid.of(image)
    return bool(shown.sum() * grid.voxel_ml <= _SMOOTHED_ML and max(_cut_cm2(shown, grid)) <= _SMOOTHED_CUT_CM2)


def extract_brain(images: Sequence[sitk.Image]) -> sitk.Image:
    """Segment the brain in scans of the whole head.

    A small network trained on synthetic heads of any contrast (`tokenunet.synthesis.heads`) segments each scan; its
    probabilities are averaged over the scans that show a voxel.

    Args:
        images: Scans of one (nearly) whole head, aligned in space, in any orientation and of any voxel size.

    Returns:
        Binary mask (uint8) on the first image's grid.
    """
    oriented = sitk.DICOMOrient(images[0], "LPS")
    grid = network_grid(oriented)
    inputs = [grid.resample(sitk.Cast(thinned(image, NETWORK_SPACING), sitk.sitkFloat32)) for image in images]
    arrays = [sitk.GetArrayFromImage(image) for image in inputs]
    seen = torch.stack([torch.from_numpy(array != 0) for array in arrays])  # a slab does not vote outside
    probability = (torch.stack([_probability(array) for array in arrays]) * seen).sum(0) / seen.sum(0).clamp(min=1)
    cleaned = grid.image(_one_piece(probability.numpy()))
    return Grid.of(images[0]).resample(cleaned) > 0.5


def check_brain(brain: sitk.Image) -> tuple[Finding, ...]:
    """Return a warning if the volume of an extracted brain is implausible.

    Args:
        brain: Binary mask of the brain.
    """
    volume_ml = float(sitk.GetArrayViewFromImage(brain).sum()) * Grid.of(brain).voxel_ml
    low, high = _PLAUSIBLE_ML
    if low <= volume_ml <= high:
        return ()
    text = (
        f"The brain that was cut out of the scans has {volume_ml:.0f} ml, unlike any adult's whole brain; look at its "
        "outline, and strip the scans with another program if it is wrong."
    )
    return (Finding("implausible_brain", text),)


def check_field_of_view(brain: sitk.Image) -> tuple[Finding, ...]:
    """Return a warning if the field of view ends inside the brain.

    Args:
        brain: Binary mask of the brain on the reference's field of view.
    """
    oriented = sitk.DICOMOrient(brain, "LPS")
    areas = zip(_CUT_CM2.items(), _cut_cm2(sitk.GetArrayViewFromImage(oriented), Grid.of(oriented)), strict=True)
    cut = [f"{side} ({area:.0f} cm²)" for (side, limit), area in areas if area > limit]
    if not cut:
        return ()
    text = (
        f"The reference's field of view ends inside the brain at its {' and '.join(cut)}: what is outside is not "
        "segmented, and near there the outlines of brain and tumor may be wrong."
    )
    return (Finding("brain_cut_off", text),)


def _cut_cm2(mask: NDArray, grid: Grid) -> list[float]:
    """Return the mask's area in cm² on each of the six sides of its array (D, H, W), first and last of each axis."""
    return [
        float(np.take(mask, index, axis).sum()) * 10 * grid.voxel_ml / spacing
        for axis, spacing in enumerate(reversed(grid.spacing))
        for index in (0, -1)
    ]


def network_grid(image: sitk.Image) -> Grid:
    """Return the grid of the brain-extraction network: centered on the head, with its top a little above it.

    Args:
        image: Scan with LPS axes.
    """
    coarse = sitk.BinShrink(image, [max(1, int(4 / s)) for s in image.GetSpacing()])
    spacing = np.array(coarse.GetSpacing())
    array = sitk.GetArrayViewFromImage(coarse)
    low, high = np.percentile(array, [1, 98])
    shown = np.argwhere(array > low + _FOREGROUND * (high - low))[:, ::-1] * spacing  # (n, 3), x, y, z in mm
    top = float(np.quantile(shown[:, 2], 0.998))
    upper = shown[shown[:, 2] > top - _UPPER_HEAD_MM]
    middle = np.quantile(upper[:, :2], [0.02, 0.98], axis=0).mean(0)
    size = np.array(NETWORK_SHAPE[::-1])
    x, y = middle - (size[:2] - 1) / 2 * NETWORK_SPACING
    z = top + _ABOVE_HEAD_MM - (size[2] - 1) * NETWORK_SPACING
    first = np.array([x, y, z])
    ox, oy, oz = np.array(coarse.GetOrigin()) + np.reshape(coarse.GetDirection(), (3, 3)) @ first
    depth, height, width = NETWORK_SHAPE
    return Grid((width, height, depth), (NETWORK_SPACING,) * 3, (ox, oy, oz), coarse.GetDirection())


def build_brain_network() -> nn.Module:
    """Return the untrained brain-extraction network.

    It maps intensities scaled by `scaled`, (B, 1, D, H, W), to logits of the same shape.
    """
    from monai.networks.nets import UNet  # takes long to import, and most scans are stripped already

    channels = (16, 32, 64, 64, 64)
    network = UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=channels,
        strides=(2, 2, 2, 2),
        num_res_units=2,
        norm=("instance", {"affine": True}),
    )
    # MONAI would also normalize the single output channel, which ties the outline to the brain's share of the image.
    network.model[-1] = nn.ConvTranspose3d(2 * channels[0], 1, kernel_size=4, stride=2, padding=1)
    return network


def scaled(values: Tensor) -> Tensor:
    """Scale intensities to 0 to 1 by their 0.5th and 99.3rd percentiles.

    Args:
        values: Intensities of any shape; 0 marks voxels outside the field of view and stays 0.
    """
    seen = values[values != 0]
    if not len(seen):
        return values
    ordered = seen[:: max(1, len(seen) // 100_000)].sort().values
    low, high = ordered[int(0.005 * len(ordered))], ordered[int(0.993 * (len(ordered) - 1))]
    return torch.where(values != 0, ((values - low) / (high - low).clamp(min=1e-6)).clamp(0, 1), 0.0)


@cache
def _network() -> nn.Module:
    """Return the trained network, loaded once per process."""
    network = build_brain_network()
    weights = safetensors.torch.load_file(resource(f"BrainExtraction/{WEIGHTS_NAME}"))
    network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return network.eval()


@torch.inference_mode()
def _probability(array: NDArray[np.float32]) -> Tensor:
    """Return the probability of brain, (D, H, W) on the network's grid."""
    return _network()(scaled(torch.from_numpy(array).float())[None, None])[0, 0].sigmoid()


def _one_piece(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the largest connected component of the probability, and fill its holes."""
    pieces = sitk.RelabelComponent(
        sitk.ConnectedComponent(sitk.GetImageFromArray((probability > 0.5).astype(np.uint8)))
    )
    largest = pieces == 1
    apart = sitk.GetArrayFromImage(pieces) > 1
    holes = sitk.GetArrayFromImage(sitk.BinaryFillhole(largest)) > sitk.GetArrayFromImage(largest)
    return np.where(apart, 0, np.where(holes, 1, probability)).astype(np.float32)
