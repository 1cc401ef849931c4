"""Loading of volume nodes from files, and export of volume nodes for the worker process."""

from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from tokenunet.core.errors import OutputError, UnreadableImageError, UnusableImageError
from tokenunet.core.grid import Grid

_ORTHOGONALITY_TOLERANCE = 1e-4


def load_volume(path: Path, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Load an image file as a scalar volume node that keeps referring to its file.

    Args:
        path: Image file.
        name: Name of the node.

    Raises:
        UnreadableImageError: If the file is missing, damaged or not an image.
    """
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, 0) if path.is_file() else None
    if node is None:
        raise UnreadableImageError(
            _("{file} cannot be read as an image.").format(file=path), _("Check that the file is there and complete.")
        )
    node.SetName(name)  # the logic appends a number to a name in use, but two patients may have the same names
    return node


def grid_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Grid:
    """Return a volume's grid in world coordinates, including its linear transform."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    transform = volume.GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ slicer.util.arrayFromVTKMatrix(matrix)
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    return Grid(
        size=volume.GetImageData().GetDimensions(),
        spacing=tuple(spacing.tolist()),
        origin=tuple(to_lps[:3, 3].tolist()),
        direction=tuple((to_lps[:3, :3] / spacing).ravel().tolist()),
    )


def detach_from_file(node: slicer.vtkMRMLStorableNode) -> None:
    """Remove a node's storage nodes, so that it does not refer to files that will be deleted."""
    for i in reversed(range(node.GetNumberOfStorageNodes())):
        storage = node.GetNthStorageNode(i)
        if storage is not None:
            slicer.mrmlScene.RemoveNode(storage)


def export_volume(node: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Write a volume in world coordinates, with its transforms applied, to an NRRD file.

    NRRD keeps the axes exactly; NIfTI would round them.

    Args:
        node: Volume to export.
        path: File to write.

    Raises:
        UnusableImageError: If the node is not a 3-D scalar volume, or its transform shears it.
        OutputError: If the file cannot be written.
    """
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfScalarComponents() != 1:
        raise UnusableImageError(
            _("Volume “{name}” holds no 3-D scalar image.").format(name=name), _("Choose another volume.")
        )
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
                _("The transform on volume “{name}” shears it, so its axes are no longer orthogonal.").format(
                    name=name
                ),
                _(
                    "Resample the volume with the transform (Resample Scalar/Vector/DWI Volume), "
                    "or remove the transform."
                ),
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
    """Write a node with a temporary storage node, which keeps the node's file name and "saved" state unchanged."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetUseCompression(False)
    storage.SetFileName(str(path))
    slicer.mrmlScene.AddNode(storage)
    try:
        if not storage.WriteData(node):
            raise OutputError(
                _("Volume “{name}” cannot be written to {file}.").format(name=node.GetName(), file=path),
                _("Make room on the disk."),
            )
    finally:
        slicer.mrmlScene.RemoveNode(storage)
