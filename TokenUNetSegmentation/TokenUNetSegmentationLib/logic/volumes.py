"""What one volume of the scene shows, and whether it can be segmented, as sentences for the panel."""

from dataclasses import dataclass
from functools import lru_cache

import slicer
from slicer.i18n import tr as _
from tokenunet.study.image_files import nan_around, with_background

_FEWEST_SLICES = 4
_EMPTY_SHARE_OF_STRIPPED = 0.35
_LARGEST_SAMPLE = 64
_TIMES = " \N{MULTIPLICATION SIGN} "
_REMEMBERED_VOLUMES = 64


def describe(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Describe a volume in one line: dimensions, spacing, and whether it is skull-stripped."""
    size = _TIMES.join(str(n) for n in volume.GetImageData().GetDimensions())
    spacing = _TIMES.join(f"{mm:.3g}" for mm in volume.GetSpacing())
    skull = _("skull-stripped") if is_skull_stripped(volume) else _("with skull")
    return _("{size}, {spacing} mm, {skull}").format(size=size, spacing=spacing, skull=skull)


def is_skull_stripped(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Return whether a volume is skull-stripped: its background has one value, while air around a head has noise."""
    return _voxels_of(volume).empty_share > _EMPTY_SHARE_OF_STRIPPED


def problem_with(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return why a volume cannot be segmented; empty if it can."""
    image = volume.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        return _("This volume has no voxels.")
    if image.GetNumberOfScalarComponents() != 1:
        return _("This is a color or vector volume.")
    if min(image.GetDimensions()) < _FEWEST_SLICES:
        size = _TIMES.join(str(n) for n in image.GetDimensions())
        return _("This is not a 3-D scan: {size} voxels.").format(size=size)
    voxels = _voxels_of(volume)
    if not voxels.finite:
        return _("This volume holds values that are not numbers (NaN or Inf): export it again.")
    if voxels.constant:
        return _("This volume has the same value everywhere.")
    return ""


@dataclass(frozen=True)
class _Voxels:
    """Properties of a coarse sample of a volume's voxels.

    Attributes:
        finite: Whether all are finite numbers, but for NaN around the image.
        constant: Whether all are equal.
        empty_share: Share of voxels that equal the corner voxel, from 0 to 1.
    """

    finite: bool
    constant: bool
    empty_share: float


def _voxels_of(volume: slicer.vtkMRMLScalarVolumeNode) -> _Voxels:
    return _sampled_voxels(volume.GetID(), volume.GetImageData().GetMTime())


@lru_cache(_REMEMBERED_VOLUMES)
def _sampled_voxels(volume_id: str, modified: int) -> _Voxels:
    """Sample a volume, cached by its modification time because the panel asks at every change of any widget."""
    array = slicer.util.arrayFromVolume(slicer.mrmlScene.GetNodeByID(volume_id))
    sample = array[tuple(slice(None, None, max(1, n // _LARGEST_SAMPLE)) for n in array.shape)]
    nan = nan_around(sample)  # as in files
    if nan is None:
        return _Voxels(finite=False, constant=False, empty_share=0.0)
    sample = with_background(sample, nan)
    return _Voxels(
        finite=True,
        constant=bool(sample.min() == sample.max()),
        empty_share=float((sample == sample[0, 0, 0]).mean()),
    )
