"""Voxels of segments as arrays."""

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy

from TokenUNetSegmentationLib.scene.nodes import remove_node

_SAME_GRID_MM = 1e-4
_SAME_PLACE_MM = 1e-2


def segment_voxels(
    segmentation: slicer.vtkMRMLSegmentationNode, segment: str, reference: slicer.vtkMRMLScalarVolumeNode
) -> NDArray[np.bool_]:
    """Return the binary mask of a segment on a volume's grid, (D, H, W)."""
    voxels = _voxels_of_same_grid(segmentation, segment, reference)
    return _resampled_voxels(segmentation, segment, reference) if voxels is None else voxels


def place_of(
    reference: slicer.vtkMRMLScalarVolumeNode, segmentation: slicer.vtkMRMLSegmentationNode
) -> NDArray[np.float64] | None:
    """Return the matrix (4, 4) from a volume's voxels to a segmentation's coordinates (RAS, mm).

    It includes the transforms of both; None if one of them is not linear.
    """
    between, voxels = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    parents = reference.GetParentTransformNode(), segmentation.GetParentTransformNode()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(*parents, between):
        return None
    reference.GetIJKToRASMatrix(voxels)
    return slicer.util.arrayFromVTKMatrix(between) @ slicer.util.arrayFromVTKMatrix(voxels)


def is_on_grid(segmentation: slicer.vtkMRMLSegmentationNode, place: NDArray[np.float64]) -> bool:
    """Return whether the labelmap of the first segment is on the grid that a matrix of `place_of` describes."""
    name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    first = segmentation.GetSegmentation().GetNthSegment(0)
    labelmap = None if first is None else first.GetRepresentation(name)
    if labelmap is None:
        return False
    own = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(own)
    return is_same_place(slicer.util.arrayFromVTKMatrix(own), place)


def is_same_place(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two matrices of `place_of` put voxels in the same place, within rounding."""
    return bool(np.allclose(one, other, atol=_SAME_PLACE_MM))


def _voxels_of_same_grid(
    segmentation: slicer.vtkMRMLSegmentationNode, segment: str, reference: slicer.vtkMRMLScalarVolumeNode
) -> NDArray[np.bool_] | None:
    """Return a segment's voxels if the grids agree, otherwise None.

    This needs no temporary node in the scene, which would trigger updates of the whole window.
    """
    image = slicer.vtkOrientedImageData()
    same_place = segmentation.GetTransformNodeID() == reference.GetTransformNodeID()
    if not same_place or not segmentation.GetBinaryLabelmapRepresentation(segment, image):
        return None
    own, wanted = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(own)
    reference.GetIJKToRASMatrix(wanted)
    shape = slicer.util.arrayFromVolume(reference).shape
    first_to_last = np.array(image.GetExtent()).reshape(3, 2)[::-1]
    difference = slicer.util.arrayFromVTKMatrix(own) - slicer.util.arrayFromVTKMatrix(wanted)
    if np.abs(difference).max() > _SAME_GRID_MM:
        return None
    voxels = np.zeros(shape, bool)
    if (first_to_last[:, 1] < first_to_last[:, 0]).any():  # an empty segment
        return voxels
    if (first_to_last < 0).any() or (first_to_last[:, 1] >= shape).any():
        return None
    extent = tuple(slice(first, last + 1) for first, last in first_to_last)
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    voxels[extent] = values.reshape(voxels[extent].shape) > 0
    return voxels


def _resampled_voxels(
    segmentation: slicer.vtkMRMLSegmentationNode, segment: str, reference: slicer.vtkMRMLScalarVolumeNode
) -> NDArray[np.bool_]:
    """Resample a segment to a volume's grid.

    `slicer.util.arrayFromSegmentBinaryLabelmap` does the same, but leaves a display node in the scene at each call.
    """
    segments = vtk.vtkStringArray()
    segments.InsertNextValue(segment)
    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    try:
        logic = slicer.modules.segmentations.logic()
        if not logic.ExportSegmentsToLabelmapNode(segmentation, segments, labelmap, reference):
            raise RuntimeError(f"Cannot resample segment {segment} of “{segmentation.GetName()}”.")
        return slicer.util.arrayFromVolume(labelmap) > 0
    finally:
        display = labelmap.GetDisplayNode()
        colors = display.GetColorNode() if display is not None else None
        remove_node(labelmap)
        if colors is not None:
            slicer.mrmlScene.RemoveNode(colors)
