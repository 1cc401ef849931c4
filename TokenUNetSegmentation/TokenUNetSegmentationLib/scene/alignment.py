"""Alignment of a study's scans: transform nodes, and switching between aligned and original positions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
from slicer.i18n import tr as _
from tokenunet.core.errors import UnreadableImageError

from TokenUNetSegmentationLib.scene.results import PatientResult

_LPS_AND_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load_transform(path: Path, name: str) -> slicer.vtkMRMLLinearTransformNode:
    """Load a transform node that aligns a scan with the reference.

    Args:
        path: File with a rigid ITK transform from the reference's space to the scan's.
        name: Name of the node.

    Raises:
        UnreadableImageError: If the file is missing or damaged.
    """
    try:
        transform = sitk.ReadTransform(path)
    except RuntimeError as error:
        raise UnreadableImageError(
            _("{file} cannot be read as a transform.").format(file=path), _("Segment the patient again.")
        ) from error
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis, unit in enumerate(np.eye(3).tolist()):
        matrix[:3, axis] = np.subtract(transform.TransformPoint(unit), matrix[:3, 3])
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    from_parent = _LPS_AND_RAS @ matrix @ _LPS_AND_RAS
    node.SetMatrixTransformFromParent(slicer.util.vtkMatrixFromArray(from_parent))
    return node


def shows_aligned(result: PatientResult) -> bool:
    """Return whether any scan is displayed in its aligned position."""
    return any(volume.GetTransformNodeID() == node.GetID() for volume, node in _aligned_scans(result))


def show_aligned(result: PatientResult, aligned: bool) -> None:
    """Align the scans with the reference, or move them back to their original positions.

    A scan to which the user has applied another transform is left alone.

    Args:
        result: Patient.
        aligned: Whether to align the scans.
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
