"""What a run will take, before it starts: from what earlier runs on this computer took."""

import numpy as np
import slicer
import slicer.util

from TokenUNetSegmentationLib.options import Device, Mode

_LARGEST_BRAIN_ML = 4500.0
"""Of the box around a brain; what a scan has beyond it is cut away."""
_START_SECONDS = 2.0
"""Starting Python, loading PyTorch and the model."""
_SECONDS_PER_ML = {Device.CUDA: 0.0004, Device.MPS: 0.0008, Device.AUTO: 0.0008, Device.CPU: 0.0008}
"""Of the first run; the processor's was measured with two cores."""
_SLIDING_WINDOW_FACTOR = 3.0
_START_GB = 0.6
_GB_PER_ML = {Mode.SINGLE_PASS: 0.0006, Mode.SLIDING_WINDOW: 0.0002}
"""Of a processor without bfloat16; one with it takes half as much."""


def estimate(volume: slicer.vtkMRMLScalarVolumeNode, device: Device, mode: Mode) -> tuple[float, float]:
    """Seconds and gigabytes that segmenting will take.

    Args:
        volume: the reference.
        device: what computes; automatic counts as the processor until it has run once.
        mode: whole brain or windows.
    """
    factor = _SLIDING_WINDOW_FACTOR if mode is Mode.SLIDING_WINDOW else 1.0
    per_ml = slicer.util.settingsValue(
        _key(device, mode), _SECONDS_PER_ML[device] * factor, float, slicer.app.settings()
    )
    ml = _millilitres(volume)
    return _START_SECONDS + per_ml * ml, _START_GB + _GB_PER_ML[mode] * ml


def free_gigabytes() -> float | None:
    """Memory that a run can have now; None where it cannot be asked for, before the first installation."""
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.virtual_memory().available / 1e9)


def remember(volume: slicer.vtkMRMLScalarVolumeNode, device: Device, mode: Mode, seconds: float) -> None:
    """Keeps how long a run took, for the next estimate."""
    per_ml = max(seconds - _START_SECONDS, 0.0) / _millilitres(volume)
    slicer.app.settings().setValue(_key(device, mode), per_ml)


def _millilitres(volume: slicer.vtkMRMLScalarVolumeNode) -> float:
    whole = float(np.prod(volume.GetSpacing()) * np.prod(volume.GetImageData().GetDimensions())) / 1000
    return min(whole, _LARGEST_BRAIN_ML)


def _key(device: Device, mode: Mode) -> str:
    return f"TokenUNetSegmentation/SecondsPerMl-{device.name}-{mode.name}"
