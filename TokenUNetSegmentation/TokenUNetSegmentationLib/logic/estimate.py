"""Estimated duration and memory of a run, calibrated by earlier runs on this computer."""

import numpy as np
import slicer
import slicer.util

from TokenUNetSegmentationLib.logic.model_list import ListedModel
from TokenUNetSegmentationLib.logic.options import Device, Mode

_LARGEST_BRAIN_ML = 4500.0
"""Volume of the largest brain crop; the rest of a scan is not segmented."""
_START_SECONDS = 2.0
"""Time to start Python and load PyTorch and the model."""
_SECONDS = {Device.CUDA: 0.4, Device.MPS: 0.8, Device.AUTO: 0.8, Device.CPU: 0.8}
"""Seconds per million voxels of the network, until a run was measured; CPU measured with two cores."""
_SLIDING_WINDOW_FACTOR = 3.0
_START_GB = 0.6
_GIGABYTES = {Mode.SINGLE_PASS: 0.6, Mode.SLIDING_WINDOW: 0.2}
"""Gigabytes per million voxels on a CPU without bfloat16; half as much with it."""
_GIGABYTES_PER_MEMBER = 0.1
"""Gigabytes of each ensemble member after the first."""


def estimate(
    volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel, device: Device, mode: Mode
) -> tuple[float, float]:
    """Estimate how long a segmentation takes and how much memory it needs.

    Args:
        volume: Reference volume.
        model: Model to run.
        device: Device to run on; `AUTO` is estimated as CPU until it has run once.
        mode: Inference mode.

    Returns:
        Seconds and gigabytes.
    """
    factor = _SLIDING_WINDOW_FACTOR if mode is Mode.SLIDING_WINDOW else 1.0
    seconds = slicer.util.settingsValue(
        _key(model, device, mode), _SECONDS[device] * factor, float, slicer.app.settings()
    )
    voxels = _million_voxels(volume, model)
    return (
        _START_SECONDS + seconds * voxels * model.members,
        _START_GB + _GIGABYTES[mode] * voxels + _GIGABYTES_PER_MEMBER * (model.members - 1),
    )


def free_gigabytes() -> float | None:
    """Return the available memory in GB; None before psutil is installed."""
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.virtual_memory().available / 1e9)


def remember(
    volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel, device: Device, mode: Mode, seconds: float
) -> None:
    """Store the duration of a run in the application's settings, for the next estimate.

    Args:
        volume: Reference volume.
        model: Model that was run.
        device: Device that was selected.
        mode: Inference mode.
        seconds: Duration of the run.
    """
    share = max(seconds - _START_SECONDS, 0.0) / (_million_voxels(volume, model) * model.members)
    slicer.app.settings().setValue(_key(model, device, mode), share)


def _million_voxels(volume: slicer.vtkMRMLScalarVolumeNode, model: ListedModel) -> float:
    """Return the number of voxels in the brain crop at the network's spacing, in millions."""
    whole_ml = float(np.prod(volume.GetSpacing()) * np.prod(volume.GetImageData().GetDimensions())) / 1000
    return min(whole_ml, _LARGEST_BRAIN_ML) / model.voxel_mm3 / 1000


def _key(model: ListedModel, device: Device, mode: Mode) -> str:
    """Return the name of the setting, of which imported models, whose networks differ most, have their own."""
    own = f"-{model.title}" if model.is_imported else ""
    return f"TokenUNetSegmentation/SecondsPerMillionVoxels-{device.name}-{mode.name}{own}"
