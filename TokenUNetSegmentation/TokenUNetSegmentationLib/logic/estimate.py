"""What a run will take, before it starts: from what earlier runs on this computer took."""

import numpy as np
import slicer
import slicer.util

from TokenUNetSegmentationLib.logic.model_list import ListedModel
from TokenUNetSegmentationLib.logic.options import Device, Mode

_LARGEST_BRAIN_ML = 4500.0
"""Of the box around a brain; what a scan has beyond it is cut away."""
_START_SECONDS = 2.0
"""Starting Python, loading PyTorch and the model."""
_SECONDS = {Device.CUDA: 0.4, Device.MPS: 0.8, Device.AUTO: 0.8, Device.CPU: 0.8}
"""Of the first run, for a million of the network's voxels; the processor's was measured with two cores."""
_SLIDING_WINDOW_FACTOR = 3.0
_START_GB = 0.6
_GIGABYTES = {Mode.SINGLE_PASS: 0.6, Mode.SLIDING_WINDOW: 0.2}
"""For a million voxels, of a processor without bfloat16; one with it takes half as much."""
_GIGABYTES_PER_MEMBER = 0.1
"""Of an ensemble, for each network after the first."""


def estimate(
    volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel, device: Device, mode: Mode
) -> tuple[float, float]:
    """Seconds and gigabytes that segmenting will take.

    Args:
        volume: the reference.
        model: what segments.
        device: what computes; automatic counts as the processor until it has run once.
        mode: whole brain or windows.
    """
    factor = _SLIDING_WINDOW_FACTOR if mode is Mode.SLIDING_WINDOW else 1.0
    seconds = slicer.util.settingsValue(_key(device, mode), _SECONDS[device] * factor, float, slicer.app.settings())
    voxels = _million_voxels(volume, model)
    return (
        _START_SECONDS + seconds * voxels * model.members,
        _START_GB + _GIGABYTES[mode] * voxels + _GIGABYTES_PER_MEMBER * (model.members - 1),
    )


def free_gigabytes() -> float | None:
    """Memory that a run can have now; None where it cannot be asked for, before the first installation."""
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.virtual_memory().available / 1e9)


def remember(
    volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel, device: Device, mode: Mode, seconds: float
) -> None:
    """Keeps how long a run took, for the next estimate."""
    share = max(seconds - _START_SECONDS, 0.0) / (_million_voxels(volume, model) * model.members)
    slicer.app.settings().setValue(_key(device, mode), share)


def _million_voxels(volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel) -> float:
    """Of the network's, in the box around the brain."""
    whole_ml = float(np.prod(volume.GetSpacing()) * np.prod(volume.GetImageData().GetDimensions())) / 1000
    return min(whole_ml, _LARGEST_BRAIN_ML) / model.voxel_mm3 / 1000


def _key(device: Device, mode: Mode) -> str:
    return f"TokenUNetSegmentation/SecondsPerMillionVoxels-{device.name}-{mode.name}"
