"""Contents of the views: overlays over the anatomy, the tumor's slices and surfaces."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from tokenunet.core.regions import RegionName

from TokenUNetSegmentationLib.scene.nodes import display_node
from TokenUNetSegmentationLib.scene.results import PatientResult, all_results

OVERLAY_OPACITY = 0.6
OPACITY_2D_FILL = 0.2
OPACITY_3D: dict[RegionName, float] = {"WT": 0.25, "TC": 0.45, "ET": 1.0}


def show_result(result: PatientResult) -> None:
    """Show the reference with the tumor's outlines in all slice views, at the tumor, and hide its earlier results."""
    for other in all_results():
        if other != result and other.reference is result.reference:
            for node in (other.segmentation, other.exclusive_labels):
                if node is not None:
                    display_node(node).SetVisibility(False)
    display = display_node(result.segmentation)
    display.SetVisibility(True)
    display.SetOpacity2DFill(OPACITY_2D_FILL)
    slicer.util.setSliceViewerLayers(background=result.reference, foreground=None, label=None)
    jump_to_tumor(result)


def show_overlay(overlay: slicer.vtkMRMLScalarVolumeNode | None, opacity: float = OVERLAY_OPACITY) -> None:
    """Display an overlay over the anatomy in all slice views; None removes it from them."""
    slicer.util.setSliceViewerLayers(foreground=overlay, foregroundOpacity=opacity)


def show_overlays_side_by_side(
    result: PatientResult,
    overlays: Iterable[slicer.vtkMRMLScalarVolumeNode],
    views: Iterable[str],
    opacity: float = OVERLAY_OPACITY,
) -> None:
    """Display each overlay over the reference in a slice view of its own.

    Args:
        result: Patient.
        overlays: Overlays, one for each view.
        views: Layout names of the slice views.
        opacity: Opacity of the overlays, from 0 to 1.
    """
    layers = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    for overlay, view in zip(overlays, views, strict=True):
        layers[view].SetBackgroundVolumeID(result.require_reference().GetID())
        layers[view].SetForegroundVolumeID(overlay.GetID())
        layers[view].SetForegroundOpacity(opacity)


def tumor_center(result: PatientResult) -> tuple[float, float, float] | None:
    """Return the intersection (RAS, mm) of the three slices with the largest tumor area; None if there is no tumor.

    Unlike the tumor's center of mass, it always displays tumor in all three slices, whatever the tumor's shape.
    """
    whole = result.region("WT")
    if not whole.any():
        return None
    areas = (whole.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3))
    k, j, i = (float(np.argmax(area)) for area in areas)
    return voxel_position(result.reference, (i, j, k))


def head_box(volume: slicer.vtkMRMLScalarVolumeNode) -> NDArray[np.float64]:
    """Return the bounding box of the voxels brighter than background: two opposite corners (2, 3) in RAS, mm."""
    values = slicer.util.arrayFromVolume(volume)
    inside = values > values.min() + 0.02 * (np.percentile(values, 99.5) - values.min())
    spans = []
    for axis in (2, 1, 0):
        indices = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append((indices[0], indices[-1]) if len(indices) else (0, values.shape[axis] - 1))
    corners = np.array([voxel_position(volume, voxel) for voxel in itertools.product(*spans)])
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def voxel_position(volume: slicer.vtkMRMLVolumeNode, voxel: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the position of a voxel's center in world coordinates (RAS, mm), including the volume's transforms.

    Args:
        volume: Volume node.
        voxel: Index (i, j, k).
    """
    ijk_to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(ijk_to_ras)
    position = ijk_to_ras.MultiplyPoint((*voxel, 1.0))[:3]
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld(position, world)
    return world[0], world[1], world[2]


def jump_to_tumor(result: PatientResult) -> bool:
    """Move all slice views to the tumor, and return whether there is one."""
    center = tumor_center(result)
    if center is None:
        return False
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *center)
    return True


def show_surfaces(result: PatientResult, visible: bool = True) -> None:
    """Show the closed surfaces of regions and exclusive labels in the 3D views, the outer regions translucent."""
    for node in (result.segmentation, result.exclusive_labels):
        if node is None:
            continue
        display = display_node(node)
        if visible:
            node.CreateClosedSurfaceRepresentation()
            display.SetPreferredDisplayRepresentationName3D("Closed surface")
        display.SetVisibility3D(visible)
    if visible:
        for region, opacity in OPACITY_3D.items():
            display_node(result.segmentation).SetSegmentOpacity3D(region, opacity)


def surface_steps(result: PatientResult) -> Iterator[None]:
    """Create the surfaces that `show_surfaces` needs one by one, with a step after each.

    Slicer's own call creates all of them at once, and the window stands still for as long.
    """
    surface = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    for node in filter(None, (result.segmentation, result.exclusive_labels)):
        segmentation = node.GetSegmentation()
        for name in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(name)
            if segment is not None and segment.GetRepresentation(surface) is None:
                alone = slicer.vtkSegmentation()
                alone.SetSourceRepresentationName(segmentation.GetSourceRepresentationName())
                alone.CopyConversionParameters(segmentation)
                alone.CopySegmentFromSegmentation(segmentation, name)
                alone.CreateRepresentation(surface)
                segment.AddRepresentation(surface, alone.GetSegment(name).GetRepresentation(surface))
            yield


def visible_surface_steps(result: PatientResult) -> Iterator[None]:
    """Create and display missing surfaces if the result's surfaces are displayed."""
    if shows_surfaces(result):
        yield from surface_steps(result)
        show_surfaces(result)


def shows_surfaces(result: PatientResult) -> bool:
    """Return whether the result's surfaces are displayed in the 3D views."""
    representation = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    has_surfaces = result.segmentation.GetSegmentation().ContainsRepresentation(representation)
    return has_surfaces and bool(display_node(result.segmentation).GetVisibility3D())
