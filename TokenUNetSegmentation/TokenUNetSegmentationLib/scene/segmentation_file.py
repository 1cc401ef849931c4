"""Loading of a run's segmentation file: reading in a thread, then adding region by region to the scene.

Slicer's own reader does both in one call that blocks the window.
"""

import concurrent.futures
from collections.abc import Generator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError
from tokenunet.core.regions import REGIONS, RegionName
from tokenunet.core.terminology import REGION_STYLES
from vtkmodules.util.numpy_support import numpy_to_vtk

_WAIT_S = 0.005


def read_regions(path: Path) -> Generator[None, None, sitk.Image]:
    """Read the regions of a ``.seg.nrrd`` file in a thread, with short steps until it is done.

    Args:
        path: File written by `tokenunet.io.seg_nrrd.write_segmentation`.

    Returns:
        Image with one component for each region, in the order of `REGIONS`.

    Raises:
        UnreadableImageError: If the file is missing, damaged, or holds other segments.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        reading = reader.submit(_read, path)
        while not reading.done():
            concurrent.futures.wait([reading], _WAIT_S)
            yield
        return reading.result()


def _read(path: Path) -> sitk.Image:
    unreadable = UnreadableImageError(
        _("{file} cannot be read as a segmentation.").format(file=path), _("Segment the patient again.")
    )
    try:
        image = sitk.ReadImage(path)
    except RuntimeError as error:
        raise unreadable from error
    keys = [f"Segment{layer}_ID" for layer in range(len(REGIONS))]
    names = tuple(image.GetMetaData(key) for key in keys if image.HasMetaDataKey(key))
    if names != REGIONS or image.GetNumberOfComponentsPerPixel() != len(REGIONS):
        raise unreadable
    return image


def add_regions(node: slicer.vtkMRMLSegmentationNode, image: sitk.Image) -> Generator[None, None, None]:
    """Add one segment for each region to a segmentation node, with a step after each."""
    layers = sitk.GetArrayViewFromImage(image)
    index_to_lps = np.eye(4)
    index_to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    index_to_lps[:3, 3] = image.GetOrigin()
    to_world = slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ index_to_lps)
    for layer, name in enumerate(REGIONS):
        segment = _segment(name, layers[..., layer], to_world)
        yield
        node.GetSegmentation().AddSegment(segment, name)
        yield


def _segment(name: RegionName, voxels: NDArray[np.uint8], to_world: vtk.vtkMatrix4x4) -> slicer.vtkSegment:
    """Return a segment that stores only the voxels within the region's extent, as Slicer's own segments do."""
    spans = [np.flatnonzero(voxels.any(axis=tuple(a for a in range(3) if a != axis))) for axis in (2, 1, 0)]
    extent = [(int(span[0]), int(span[-1])) if len(span) else (0, -1) for span in spans]
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(bound for pair in extent for bound in pair))
    image.SetImageToWorldMatrix(to_world)
    inside = voxels[tuple(slice(first, last + 1) for first, last in reversed(extent))]
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(inside).ravel(), deep=True))
    style = REGION_STYLES[name]
    segment = slicer.vtkSegment()
    segment.SetName(style.title)
    segment.SetColor(*style.color)
    segment.SetTerminology(style.terminology_entry)
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), image)
    return segment
