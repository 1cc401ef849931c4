"""What a run will take, before it starts."""

from collections.abc import Mapping

import numpy as np
import slicer

from TokenUNetSegmentationLib.options import Device, Mode

_LARGEST_BRAIN_ML = 4500.0
"""Of the box around a brain; what a scan has beyond it is cut away."""
_START_SECONDS = 8.0
_SECONDS_PER_ML = {Device.CUDA: 0.0005, Device.MPS: 0.001, Device.AUTO: 0.004, Device.CPU: 0.004}
_SLIDING_WINDOW_FACTOR = 3.0
_START_GB = 0.9
_GB_PER_ML = {Mode.SINGLE_PASS: 0.00045, Mode.SLIDING_WINDOW: 0.0001}


def estimate(
    volume: slicer.vtkMRMLScalarVolumeNode, device: Device, mode: Mode, measured: Mapping[str, float]
) -> tuple[float, float]:
    """Seconds and gigabytes that segmenting will take.

    Args:
        volume: the reference.
        device: what computes; automatic counts as the processor.
        mode: whole brain or windows.
        measured: seconds per ml of earlier runs on this computer, by `measurement_key`.
    """
    ml = float(np.prod(volume.GetSpacing()) * np.prod(volume.GetImageData().GetDimensions())) / 1000
    ml = min(ml, _LARGEST_BRAIN_ML)
    factor = _SLIDING_WINDOW_FACTOR if mode is Mode.SLIDING_WINDOW else 1.0
    per_ml = measured.get(measurement_key(device, mode), _SECONDS_PER_ML[device] * factor)
    return _START_SECONDS + per_ml * ml, _START_GB + _GB_PER_ML[mode] * ml


def measurement_key(device: Device, mode: Mode) -> str:
    """Name under which a measurement is kept."""
    return f"{device.value}/{mode.value}"
