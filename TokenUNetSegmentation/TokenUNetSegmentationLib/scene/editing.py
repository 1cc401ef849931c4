"""Corrections in the Segment Editor that keep the regions nested."""

import numpy as np
import slicer
from numpy.typing import NDArray
from tokenunet.core.regions import REGIONS

from TokenUNetSegmentationLib.scene.results import PatientResult


def nested_after_edit(before: NDArray[np.bool_], edited: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return edited regions with ET inside TC inside WT again.

    Voxels added to an inner region are added to the outer ones; voxels removed from an outer region are removed from
    the inner ones. If both happened to a voxel, the addition takes precedence.

    Args:
        before: Regions before the edit, (3, D, H, W) in the order of `REGIONS`, nested.
        edited: Regions after it, of the same shape.
    """
    whole, core, enhancing = edited
    removed_from_whole, removed_from_core = before[0] & ~whole, before[1] & ~core
    enhancing = (enhancing & ~before[2]) | (enhancing & ~removed_from_whole & ~removed_from_core)
    core = (core & ~before[1]) | (core & ~removed_from_whole) | enhancing
    return np.stack([whole | core, core, enhancing])


class Edit:
    """Correction of a result in the Segment Editor.

    Args:
        result: Result to correct.
        editor_node: Parameter node of the Segment Editor, whose overwrite mode is set to none during the correction.

    Raises:
        MissingNodeError: If the reference volume is gone.
    """

    def __init__(self, result: PatientResult, editor_node: slicer.vtkMRMLSegmentEditorNode) -> None:
        self._result = result
        self._before = result.regions()
        self._editor_node = editor_node
        self._overwrite_mode = editor_node.GetOverwriteMode()
        editor_node.SetOverwriteMode(editor_node.OverwriteNone)  # the regions overlap

    def close(self) -> None:
        """Restore the user's overwrite mode; the segments stay as they are."""
        self._editor_node.SetOverwriteMode(self._overwrite_mode)

    def finish(self) -> None:
        """Restore the user's overwrite mode and nest the regions again."""
        self.close()
        reference, segmentation = self._result.reference, self._result.segmentation
        if reference is None or segmentation.GetScene() is None:
            return
        edited = self._result.regions()
        if edited.shape != self._before.shape:
            return
        for name, voxels, now in zip(REGIONS, nested_after_edit(self._before, edited), edited, strict=True):
            if segmentation.GetSegmentation().GetSegment(name) is not None and (voxels != now).any():
                slicer.util.updateSegmentBinaryLabelmapFromArray(voxels.astype(np.uint8), segmentation, name, reference)
