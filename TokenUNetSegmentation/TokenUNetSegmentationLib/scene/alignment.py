"""How the scans of a raw study were aligned: as transforms in the scene, and the scans with and without them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from tokenunet.core.errors import UnreadableImageError

from TokenUNetSegmentationLib.scene.results import PatientResult

_LPS_AND_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load_transform(path: Path, name: str) -> slicer.vtkMRMLLinearTransformNode:
    """A node that moves the scan it is applied to onto the reference.

    Args:
        path: a rigid ITK transform from the reference's space to the scan's.
        name: of the node.

    Raises:
        UnreadableImageError: where the file is absent or damaged.
    """
    try:
        transform = sitk.ReadTransform(path)
    except RuntimeError as error:
        raise UnreadableImageError(f"{path} cannot be read as a transform.", "Segment the patient again.") from error
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis, unit in enumerate(np.eye(3).tolist()):
        matrix[:3, axis] = np.subtract(transform.TransformPoint(unit), matrix[:3, 3])
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    from_parent = _LPS_AND_RAS @ matrix @ _LPS_AND_RAS
    node.SetMatrixTransformFromParent(slicer.util.vtkMatrixFromArray(from_parent))
    return node


def shows_aligned(result: PatientResult) -> bool:
    """Whether any scan lies where its alignment puts it."""
    return any(volume.GetTransformNodeID() == node.GetID() for volume, node in _aligned_scans(result))


def show_aligned(result: PatientResult, aligned: bool) -> None:
    """Moves the scans onto the reference, or back to where they were loaded.

    A scan to which the user has applied another transform stays under that one.
    """
    for volume, node in _aligned_scans(result):
        if aligned and volume.GetTransformNodeID() is None:
            volume.SetAndObserveTransformNodeID(node.GetID())
        elif not aligned and volume.GetTransformNodeID() == node.GetID():
            volume.SetAndObserveTransformNodeID(None)


def _aligned_scans(
    result: PatientResult,
) -> Iterator[tuple[slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLLinearTransformNode]]:
    inputs = result.inputs
    for sequence, node in result.transforms.items():
        if sequence in inputs:
            yield inputs[sequence], node
