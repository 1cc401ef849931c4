"""Eight linked slice views, one mask each; a mask in 3D; small pictures of the masks."""

from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from TokenUNetSegmentationLib.scene.displays import jump_to_tumor, show_masks_side_by_side
from TokenUNetSegmentationLib.scene.results import PatientResult

ALL_EIGHT_LAYOUT = 8317
"""Number of the layout; user layouts must not collide with Slicer's own or with those of other extensions."""
VIEW_NAMES = tuple(f"TokenUNetMask{number}" for number in range(1, 9))
_COLUMNS = 4
_THUMBNAIL_SIZE = 64


def layout_description() -> str:
    """XML of the layout: two rows of four axial slice views, named after their masks."""

    def view(name: str) -> str:
        return (
            f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
            '<property name="orientation" action="default">Axial</property>'
            f'<property name="viewlabel" action="default">{name.removeprefix("TokenUNetMask")}</property>'
            '<property name="viewcolor" action="default">#6B8FB5</property>'
            "</view></item>"
        )

    rows = (VIEW_NAMES[start : start + _COLUMNS] for start in range(0, len(VIEW_NAMES), _COLUMNS))
    items = "".join(f'<item><layout type="horizontal">{"".join(map(view, row))}</layout></item>' for row in rows)
    return f'<layout type="vertical">{items}</layout>'


def show_all_masks(result: PatientResult, masks: dict[int, slicer.vtkMRMLScalarVolumeNode], opacity: float) -> int:
    """Switches to the layout of all masks and fills it; returns the layout that was there before."""
    manager = slicer.app.layoutManager()
    before = manager.layout
    layout_node = manager.layoutLogic().GetLayoutNode()
    if not layout_node.IsLayoutDescription(ALL_EIGHT_LAYOUT):
        layout_node.AddLayoutDescription(ALL_EIGHT_LAYOUT, layout_description())
    manager.setLayout(ALL_EIGHT_LAYOUT)
    views = [VIEW_NAMES[number - 1] for number in masks]
    show_masks_side_by_side(result, masks.values(), views, opacity)
    for name in views:
        logic = manager.sliceWidget(name).sliceLogic()
        logic.GetSliceCompositeNode().SetLinkedControl(True)
        logic.FitSliceToBackground()
    jump_to_tumor(result)
    return before


def leave_all_masks(before: int) -> None:
    """Returns to the layout that was there before."""
    manager = slicer.app.layoutManager()
    if manager.layout == ALL_EIGHT_LAYOUT:
        manager.setLayout(before)


def show_in_3d(mask: slicer.vtkMRMLScalarVolumeNode, visible: bool) -> None:
    """Shows a mask as volume rendering: transparent where it is low, in its colors where it is high."""
    logic = slicer.modules.volumerendering.logic()
    display = logic.GetFirstVolumeRenderingDisplayNode(mask)
    if visible and display is None:
        display = logic.CreateDefaultVolumeRenderingNodes(mask)
    if visible:
        _set_transfer_functions(display.GetVolumePropertyNode(), mask.GetDisplayNode())
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


def write_thumbnail(mask: slicer.vtkMRMLScalarVolumeNode, path: Path) -> None:
    """Writes a small picture: the largest value of the mask along the body's axis, in the mask's colors."""
    values = slicer.util.arrayFromVolume(mask)
    along = int(np.argmax([abs(axis[2]) for axis in _axes(mask)]))  # the array axis that runs from feet to head
    strongest = np.take_along_axis(values, np.abs(values).argmax(axis=along, keepdims=True), axis=along)
    flat = strongest.squeeze(axis=along)
    display = mask.GetDisplayNode()
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
    """Directions (RAS) of the array's axes, in its order."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASDirectionMatrix(matrix)
    return list(slicer.util.arrayFromVTKMatrix(matrix)[:3, :3].T[::-1])


def _palette(colors: slicer.vtkMRMLColorNode) -> np.ndarray:
    table = colors.GetLookupTable()
    rgba = [table.GetTableValue(index) for index in range(table.GetNumberOfTableValues())]
    return (np.array(rgba)[:, :3] * 255).astype(np.uint8)
