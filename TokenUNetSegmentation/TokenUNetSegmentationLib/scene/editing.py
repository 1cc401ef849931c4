"""Corrections in the Segment Editor that keep the regions nested, and the editors that can make them."""

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _
from tokenunet.core.errors import TokenUNetError
from tokenunet.core.regions import RegionName

from TokenUNetSegmentationLib.scene.results import PatientResult

SEGMENT_EDITOR, NN_INTERACTIVE = "SegmentEditor", "SlicerNNInteractive"
"""Names of modules."""


class EditorError(TokenUNetError):
    """A module that edits segments cannot be used."""

    code = "editor"


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


def has_nn_interactive() -> bool:
    """Return whether the extension SlicerNNInteractive is installed."""
    return hasattr(slicer.modules, NN_INTERACTIVE.lower())


def open_editor(result: PatientResult, module: str, region: RegionName = "WT") -> slicer.vtkMRMLSegmentEditorNode:
    """Open a module that edits segments on a result, and return its parameter node.

    Args:
        result: Result to correct.
        module: Name of the module, `SEGMENT_EDITOR` or `NN_INTERACTIVE`.
        region: Region that is selected there.

    Raises:
        MissingNodeError: If the reference volume is gone.
        EditorError: If the module is not what this extension knows.
    """
    reference = result.require_reference()
    slicer.util.selectModule(module)
    widget = getattr(slicer.modules, module.lower()).widgetRepresentation().self()
    try:
        editor = widget.editor if module == SEGMENT_EDITOR else widget.ui.editor_widget
    except AttributeError as error:
        raise EditorError(
            _("This version of {module} cannot be given a segment.").format(module=module),
            _("Choose segmentation and segment there by hand."),
        ) from error
    editor.setSegmentationNode(result.segmentation)
    editor.setSourceVolumeNode(reference)
    editor.setCurrentSegmentID(region)
    return editor.mrmlSegmentEditorNode()


class Edit:
    """Visit to a module that edits segments, during which painting a region never erases another.

    Args:
        module: Name of the module.
        editor_node: Its parameter node, whose overwrite mode is set to none during the visit.
    """

    def __init__(self, module: str, editor_node: slicer.vtkMRMLSegmentEditorNode) -> None:
        self.module = module
        self._editor_node = editor_node
        self._overwrite_mode = editor_node.GetOverwriteMode()
        editor_node.SetOverwriteMode(editor_node.OverwriteNone)  # the regions overlap

    def close(self) -> None:
        """Restore the user's overwrite mode."""
        self._editor_node.SetOverwriteMode(self._overwrite_mode)
