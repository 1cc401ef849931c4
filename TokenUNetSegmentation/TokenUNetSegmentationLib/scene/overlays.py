"""Volume nodes of overlays: loading, colors, display range.

The properties of an overlay are attributes of its node, so that they are saved with the scene. Low values are
transparent, so that the anatomy is visible: those below a threshold or, if values have either sign, around zero.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import slicer
from tokenunet.core.builtin_overlays import ENSEMBLE_UNCERTAINTY, TOKEN_FUSER, TOKEN_LEARNER
from tokenunet.core.overlays import COLORMAPS, ListedOverlay, OverlayGroup

from TokenUNetSegmentationLib.scene.nodes import display_node
from TokenUNetSegmentationLib.scene.volumes import detach_from_file, load_volume

_COLORS = 256
_THRESHOLD, _THRESHOLD_OF_SIGNED = 0.2, 0.35
_GROUP = "TokenUNet.OverlayGroup"
_GROUP_TITLE = "TokenUNet.OverlayGroupTitle"
_GROUP_DESCRIPTION = "TokenUNet.OverlayGroupDescription"
_NUMBER = "TokenUNet.OverlayNumber"
_NAME = "TokenUNet.OverlayName"
_UNIT = "TokenUNet.OverlayUnit"
_COLORMAP = "TokenUNet.Colormap"

_GROUP_0_1, _NUMBER_0_1 = "TokenUNet.MaskKind", "TokenUNet.MaskNumber"
_UNITS_0_1 = {TOKEN_LEARNER: "times uniform", TOKEN_FUSER: "weight", ENSEMBLE_UNCERTAINTY: "standard deviation"}
"""Attributes and groups of scenes of version 0.1, whose uncertainty had none."""


def load_overlay(
    path: Path, overlay: ListedOverlay, group: OverlayGroup, number: int, colors: slicer.vtkMRMLColorTableNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """Load an overlay from its file; see `describe_overlay`.

    Args:
        path: File of the overlay.
        overlay: Entry of the index.
        group: Group of the overlay.
        number: Number in the group, from 1.
        colors: Color table of the group.

    Returns:
        The overlay's volume node, named by its title.

    Raises:
        UnreadableImageError: If the file is missing or damaged.
    """
    node = load_volume(path, overlay.title)
    detach_from_file(node)
    describe_overlay(node, overlay, group, number, colors)
    return node


def describe_overlay(
    node: slicer.vtkMRMLScalarVolumeNode,
    overlay: ListedOverlay,
    group: OverlayGroup,
    number: int,
    colors: slicer.vtkMRMLColorTableNode,
) -> None:
    """Make a volume with the voxels of an overlay an overlay, which no view displays yet.

    Args:
        node: Volume of the overlay, with a display node.
        overlay: Entry of the index.
        group: Group of the overlay.
        number: Number in the group, from 1.
        colors: Color table of the group.
    """
    for attribute, value in {
        _GROUP: group.name,
        _GROUP_TITLE: group.title,
        _GROUP_DESCRIPTION: group.description,
        _NUMBER: str(number),
        _NAME: overlay.name,
        _UNIT: overlay.unit,
    }.items():
        node.SetAttribute(attribute, value)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.SetInterpolate(True)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*overlay.range)
    if not overlay.signed:
        set_threshold([node], _THRESHOLD)


def overlay_group(node: slicer.vtkMRMLScalarVolumeNode) -> OverlayGroup | None:
    """Return the overlay group of a volume; None if it is not an overlay."""
    name = node.GetAttribute(_GROUP)
    if name:
        return OverlayGroup(name, node.GetAttribute(_GROUP_TITLE) or name, node.GetAttribute(_GROUP_DESCRIPTION) or "")
    named = {group.name: group for group in _UNITS_0_1}
    return named.get(node.GetAttribute(_GROUP_0_1))


def overlay_number(node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """Return the overlay's number in its group, from 1."""
    return int(node.GetAttribute(_NUMBER) or node.GetAttribute(_NUMBER_0_1) or 1)


def range_text(node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return the values at both ends of the overlay's color table in words."""
    low, high = _range(node)
    return f"{low:.3g} to {high:.3g} {unit_of(node)}"


def unit_of(node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return the unit of an overlay's values; empty if it is unknown."""
    return node.GetAttribute(_UNIT) or _UNITS_0_1.get(overlay_group(node) or ENSEMBLE_UNCERTAINTY, "")


def set_threshold(nodes: Iterable[slicer.vtkMRMLScalarVolumeNode], share: float) -> None:
    """Set the threshold below which overlays are transparent.

    Args:
        nodes: Overlays of one group.
        share: Part of the way from the lower to the upper end of the range, or from zero to either end of it, 0 to 1.
    """
    tables: dict[str, slicer.vtkMRMLColorTableNode] = {}
    for node in nodes:
        display = display_node(node)
        low, high = _range(node)
        colors = display.GetColorNode()
        if low < 0 < high and colors.GetType() == colors.User:  # not Slicer's own, if that of the group was removed
            tables[colors.GetID()] = colors
        else:
            display.SetThreshold(low + share * (high - low), np.finfo(np.float32).max)
            display.ApplyThresholdOn()
    for table in tables.values():
        _make_middle_transparent(table, share)


def create_color_table(title: str, colormap: str, signed: bool) -> slicer.vtkMRMLColorTableNode:
    """Create the color table of a group of overlays.

    Args:
        title: Name of the node.
        colormap: Name of one of `COLORMAPS`.
        signed: Whether the middle is transparent.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", title)
    node.SetAttribute(_COLORMAP, colormap)
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    positions, colors = zip(*COLORMAPS[colormap], strict=True)
    at = np.linspace(0, 1, _COLORS)
    channels = [np.interp(at, positions, channel) for channel in zip(*colors, strict=True)]
    for i, (red, green, blue) in enumerate(zip(*channels, strict=True)):
        node.SetColor(i, f"{at[i]:.3f}", red, green, blue)
    if signed:
        _make_middle_transparent(node, _THRESHOLD_OF_SIGNED)
    return node


def table_colormap(table: slicer.vtkMRMLColorTableNode) -> str:
    """Return the name of the color map that a table was created with."""
    return table.GetAttribute(_COLORMAP) or ("signed" if "TokenFuser" in table.GetName() else "attention")


def _range(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float]:
    display = display_node(node)
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def _make_middle_transparent(colors: slicer.vtkMRMLColorTableNode, share: float) -> None:
    was_modifying = colors.StartModify()
    for i, position in enumerate(np.linspace(-1, 1, _COLORS)):
        colors.SetOpacity(i, 0.0 if abs(position) < share else 1.0)
    colors.EndModify(was_modifying)
