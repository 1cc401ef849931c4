"""Grid of linked slice views, one overlay each; volume rendering; thumbnails."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.displays import jump_to_tumor, show_overlays_side_by_side
from TokenUNetSegmentationLib.scene.nodes import display_node
from TokenUNetSegmentationLib.scene.results import PatientResult

_FIRST_GRID_LAYOUT = 83170
"""Number of the empty grid's layout; no other layout of Slicer or an extension may have the ones that follow."""
_VIEW_NAME = "TokenUNetOverlay"
_VIEW_COLOR = "#6B8FB5"
_THUMBNAIL_SIZE = 64


def view_name(number: int) -> str:
    """Return the layout name of the slice view of one overlay."""
    return f"{_VIEW_NAME}{number}"


def layout_description(count: int) -> str:
    """Return the XML of a grid of axial slice views.

    Args:
        count: Number of views; the grid has at least as many columns as rows.
    """

    def view(number: int) -> str:
        return (
            f'<item><view class="vtkMRMLSliceNode" singletontag="{view_name(number)}">'
            '<property name="orientation" action="default">Axial</property>'
            f'<property name="viewlabel" action="default">{number}</property>'
            f'<property name="viewcolor" action="default">{_VIEW_COLOR}</property>'
            "</view></item>"
        )

    columns = math.ceil(count / math.isqrt(count))
    rows = (range(first, min(first + columns, count + 1)) for first in range(1, count + 1, columns))
    items = "".join(f'<item><layout type="horizontal">{"".join(map(view, row))}</layout></item>' for row in rows)
    return f'<layout type="vertical">{items}</layout>'


def show_grid(result: PatientResult, overlays: dict[int, slicer.vtkMRMLScalarVolumeNode], opacity: float) -> int:
    """Switch to a grid with one slice view per overlay.

    Args:
        result: Patient whose reference is the background.
        overlays: Overlays by their numbers, at least one.
        opacity: Opacity of the overlays, from 0 to 1.

    Returns:
        Number of the layout that was displayed before.
    """
    before = enter_grid(max(overlays))
    views = [view_name(number) for number in overlays]
    show_overlays_side_by_side(result, overlays.values(), views, opacity)
    link_views(views)
    jump_to_tumor(result)
    return before


def has_views(count: int) -> bool:
    """Return whether the first views of the grid were created before."""
    return all(_view_node(number) is not None for number in range(1, count + 1))


def create_view_steps(count: int) -> Iterator[None]:
    """Create the missing views of the grid, hidden, one in each step: a layout would create them all at once.

    Args:
        count: Number of views.
    """
    for number in range(1, count + 1):
        if _view_node(number) is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSliceNode")
            node.UnRegister(None)  # the scene holds it
            node.SetLayoutName(view_name(number))  # makes it the one that the layout asks for
            node.SetName(view_name(number))
            node.SetLayoutLabel(str(number))
            node.SetLayoutColor(*(int(_VIEW_COLOR[i : i + 2], 16) / 255 for i in (1, 3, 5)))
            node.SetMappedInLayout(False)
            node.SetDefaultOrientation("Axial")
            node.SetOrientation("Axial")
            slicer.mrmlScene.AddNode(node)
            yield


def _view_node(number: int) -> slicer.vtkMRMLSliceNode | None:
    return slicer.mrmlScene.GetSingletonNode(view_name(number), "vtkMRMLSliceNode")


def enter_grid(count: int) -> int:
    """Switch to a grid of axial slice views, and return the number of the layout that was displayed before.

    Args:
        count: Number of views, which are named by `view_name`.
    """
    manager = slicer.app.layoutManager()
    before = manager.layout
    layout = _FIRST_GRID_LAYOUT + count
    layout_node = manager.layoutLogic().GetLayoutNode()
    if not layout_node.IsLayoutDescription(layout):
        layout_node.AddLayoutDescription(layout, layout_description(count))
    manager.setLayout(layout)
    return before


def link_views(views: Sequence[str]) -> None:
    """Link slice views, and fit what they display into them.

    Args:
        views: Layout names of the views.
    """
    manager = slicer.app.layoutManager()
    slicer.app.processEvents()  # new views get their size in the event loop, which resets their offsets
    for name in views:
        logic = manager.sliceWidget(name).sliceLogic()
        logic.GetSliceCompositeNode().SetLinkedControl(True)
        logic.FitSliceToBackground()


def is_grid(layout: int) -> bool:
    """Return whether a layout is a grid of overlays."""
    return layout > _FIRST_GRID_LAYOUT


def leave_grid(before: int) -> None:
    """Return from the grid to the layout that was displayed before it."""
    manager = slicer.app.layoutManager()
    if is_grid(manager.layout):
        manager.setLayout(before)


def show_in_3d(overlay: slicer.vtkMRMLScalarVolumeNode, visible: bool) -> None:
    """Display an overlay as volume rendering: transparent where it is low, in its colors where it is high."""
    logic = slicer.modules.volumerendering.logic()
    display = logic.GetFirstVolumeRenderingDisplayNode(overlay)
    if visible and display is None:
        display = logic.CreateDefaultVolumeRenderingNodes(overlay)
    if visible:
        _set_transfer_functions(display.GetVolumePropertyNode(), display_node(overlay))
    if display is not None:
        display.SetVisibility(visible)


def _set_transfer_functions(
    volume_property: "slicer.vtkMRMLVolumePropertyNode", shown: slicer.vtkMRMLScalarVolumeDisplayNode
) -> None:
    lowest, highest = shown.GetWindowLevelMin(), shown.GetWindowLevelMax()
    colors = shown.GetColorNode()
    last = colors.GetNumberOfColors() - 1
    color_function = vtk.vtkColorTransferFunction()
    opacity_function = vtk.vtkPiecewiseFunction()
    for share in np.linspace(0, 1, 9):
        value = lowest + share * (highest - lowest)
        rgba = [0.0, 0.0, 0.0, 0.0]
        colors.GetColor(round(share * last), rgba)
        color_function.AddRGBPoint(value, *rgba[:3])
        strength = abs(value) / max(abs(lowest), abs(highest))
        opacity_function.AddPoint(value, 0.5 * max(0.0, strength - 0.3))
    volume_property.SetColor(color_function)
    volume_property.SetScalarOpacity(opacity_function)


def write_thumbnail(overlay: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Write a small picture: the largest value of the overlay along the body's axis, in the overlay's colors."""
    values = slicer.util.arrayFromVolume(overlay)
    values = values[tuple(slice(None, None, max(1, side // _THUMBNAIL_SIZE)) for side in values.shape)]
    along = int(np.argmax([abs(axis[2]) for axis in _axes(overlay)]))  # the array axis that runs from feet to head
    strongest = np.take_along_axis(values, np.abs(values).argmax(axis=along, keepdims=True), axis=along)
    flat = strongest.squeeze(axis=along)
    display = display_node(overlay)
    lowest, highest = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    share = ((flat - lowest) / ((highest - lowest) or 1)).clip(0, 1)
    palette = _palette(display.GetColorNode())
    picture = palette[np.rint(share * (len(palette) - 1)).astype(int)]
    repeats = max(1, _THUMBNAIL_SIZE // max(picture.shape[:2]))
    picture = picture.repeat(repeats, axis=0).repeat(repeats, axis=1)
    image = vtk.vtkImageData()
    image.SetDimensions(picture.shape[1], picture.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.flipud(picture).reshape(-1, 3).copy(), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.Write()


def _axes(volume: slicer.vtkMRMLVolumeNode) -> list[np.ndarray]:
    """Return the directions (RAS) of the array's axes, in its order."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASDirectionMatrix(matrix)
    return list(slicer.util.arrayFromVTKMatrix(matrix)[:3, :3].T[::-1])


def _palette(colors: slicer.vtkMRMLColorNode) -> np.ndarray:
    table = colors.GetLookupTable()
    rgba = [table.GetTableValue(index) for index in range(table.GetNumberOfTableValues())]
    return (np.array(rgba)[:, :3] * 255).astype(np.uint8)
