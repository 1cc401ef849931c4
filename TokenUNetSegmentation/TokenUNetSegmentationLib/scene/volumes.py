"""Volume nodes from files, and files from volume nodes for the worker process."""

from pathlib import Path

import numpy as np
import slicer
import vtk
from tokenunet.core.errors import OutputError, UnreadableImageError, UnusableImageError

_ORTHOGONALITY_TOLERANCE = 1e-4


def load_volume(path: Path, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Reads an image file into a scalar volume node; it stays tied to its file.

    Raises:
        UnreadableImageError: where the file is absent, damaged or no image.
    """
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, 0) if path.is_file() else None
    if node is None:
        raise UnreadableImageError(f"{path} cannot be read as an image.", "Check that the file is there and complete.")
    node.SetName(name)  # the logic numbers names that are taken; two patients may have the same
    return node


def detach_from_file(node: slicer.vtkMRMLStorableNode) -> None:
    """Makes the scene the only owner of a node's data, for files that will not stay."""
    for i in reversed(range(node.GetNumberOfStorageNodes())):
        storage = node.GetNthStorageNode(i)
        if storage is not None:
            slicer.mrmlScene.RemoveNode(storage)


def export_volume(node: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Writes a node as it lies in the world (its transforms applied) to an NRRD file.

    NRRD keeps the axes as they are in the node; NIfTI would round them.

    Raises:
        UnusableImageError: for a node that is no 3-D scalar volume, or that a transform shears.
        OutputError: where the file cannot be written.
    """
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfScalarComponents() != 1:
        raise UnusableImageError(f"Volume “{name}” holds no 3-D scalar image.", "Choose another volume.")
    if node.GetParentTransformNode() is None:
        _write(node, path)
        return
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} (transformed)")
    try:
        copy.CopyOrientation(node)
        voxels = vtk.vtkImageData()
        voxels.DeepCopy(image)
        copy.SetAndObserveImageData(voxels)
        copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        copy.HardenTransform()
        if not _has_orthogonal_axes(copy):
            raise UnusableImageError(
                f"The transform on volume “{name}” shears it, so its voxels are no boxes any more.",
                "Resample the volume with the transform (Resample Scalar/Vector/DWI Volume), or remove the transform.",
            )
        _write(copy, path)
    finally:
        slicer.mrmlScene.RemoveNode(copy)


def _has_orthogonal_axes(node: slicer.vtkMRMLVolumeNode) -> bool:
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    axes = slicer.util.arrayFromVTKMatrix(ijk_to_ras)[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    return np.allclose(axes.T @ axes, np.eye(3), atol=_ORTHOGONALITY_TOLERANCE)


def _write(node: slicer.vtkMRMLVolumeNode, path: Path) -> None:
    """Through a storage node of its own: the node's file name and "saved" state stay as the user has them."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetUseCompression(False)
    storage.SetFileName(str(path))
    slicer.mrmlScene.AddNode(storage)
    try:
        if not storage.WriteData(node):
            raise OutputError(f"Volume “{node.GetName()}” cannot be written to {path}.", "Make room on the disk.")
    finally:
        slicer.mrmlScene.RemoveNode(storage)
