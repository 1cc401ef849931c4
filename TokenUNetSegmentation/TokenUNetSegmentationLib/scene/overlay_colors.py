"""Color tables of a patient's overlays, and their legend in the views."""

import slicer

from TokenUNetSegmentationLib.scene.nodes import display_node
from TokenUNetSegmentationLib.scene.overlays import create_color_table, overlay_group, table_colormap, unit_of
from TokenUNetSegmentationLib.scene.results import PatientResult

_COLORS_OF_0_1 = "vtkMRMLColorTableNodeIron"
"""Slicer's own table, with which version 0.1 displayed the uncertainty."""


def recolor(result: PatientResult, group: str, colors: slicer.vtkMRMLColorNode | None) -> None:
    """Display the overlays of a group in the colors of another table.

    They are copied into the group's own table, whose opacities carry the threshold: Slicer's tables stay as they are.

    Args:
        result: Patient.
        group: Name of the group.
        colors: Table whose colors to display; None restores the group's own.
    """
    own = {table.GetID(): table for table in result.color_tables}
    displays = [display_node(node) for node in result.overlays(group).values()]
    for identifier in {display.GetColorNodeID() for display in displays} & set(own):
        _copy_colors(own[identifier], colors)
    for display in displays:
        if display.GetColorNodeID() not in own:
            display.SetAndObserveColorNodeID(_COLORS_OF_0_1 if colors is None else colors.GetID())


def show_legend(overlay: slicer.vtkMRMLScalarVolumeNode | None) -> None:
    """Display the color legend of one overlay in the slice views that display it, and hide those of all others.

    Args:
        overlay: Overlay; None hides all legends.
    """
    logic = slicer.vtkSlicerColorLogic
    if overlay is not None and logic.GetColorLegendDisplayNode(overlay) is None:
        logic.AddDefaultColorLegendDisplayNode(overlay).SetTitleText(unit_of(overlay))
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        node = legend.GetDisplayableNode()
        if node is not None and overlay_group(node) is not None:
            legend.SetVisibility(overlay is not None and node.GetID() == overlay.GetID())


def _copy_colors(own: slicer.vtkMRMLColorTableNode, colors: slicer.vtkMRMLColorNode | None) -> None:
    source = create_color_table("colors", table_colormap(own), signed=False) if colors is None else colors
    was_modifying = own.StartModify()
    last, last_of_source = own.GetNumberOfColors() - 1, source.GetNumberOfColors() - 1
    rgba = [0.0, 0.0, 0.0, 0.0]
    for index in range(last + 1):
        opacity = own.GetLookupTable().GetTableValue(index)[3]
        source.GetColor(round(index / last * last_of_source), rgba)
        own.SetColor(index, *rgba[:3], opacity)
    own.EndModify(was_modifying)
    if colors is None:
        slicer.mrmlScene.RemoveNode(source)
