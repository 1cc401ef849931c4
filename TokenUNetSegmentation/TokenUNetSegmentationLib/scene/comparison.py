"""Two results of one patient in the scene: their comparison, the places where they differ, and both side by side."""

from collections.abc import Iterator

import numpy as np
import slicer
from slicer.i18n import tr as _
from tokenunet.core.regions import REGIONS
from tokenunet.evaluation.compare import DIFFERENCE, Comparison, compare_regions, model_name, unclaimed_in

from TokenUNetSegmentationLib.scene.displays import jump_to_tumor
from TokenUNetSegmentationLib.scene.nodes import display_node, remove_node, subject_hierarchy
from TokenUNetSegmentationLib.scene.overlay_views import enter_grid, leave_grid, link_views, view_name
from TokenUNetSegmentationLib.scene.overlays import create_color_table, describe_overlay, set_threshold
from TokenUNetSegmentationLib.scene.results import (
    COLORS_ROLE,
    OVERLAY_ROLE,
    PatientResult,
    all_results,
    create_result_folder,
)
from TokenUNetSegmentationLib.scene.segment_voxels import segment_voxels
from TokenUNetSegmentationLib.scene.volumes import grid_of

_SMALLEST_SHOWN = 0.2
"""Threshold of the differences, as a share of their range, so that a difference of one region is visible."""


def other_results(result: PatientResult) -> list[PatientResult]:
    """Return the other results of the same patient, which were made from at least one of the same volumes."""
    volumes = _input_ids(result)
    return [other for other in all_results() if other != result and volumes & _input_ids(other)]


def result_title(result: PatientResult) -> str:
    """Return the name of a result with that of its model, such as "T1ce tumor 2 (nnU-Net)"."""
    name, model = result.segmentation.GetName(), model_name(result.report)
    return f"{name} ({model})" if model else name


def comparison_steps(first: PatientResult, second: PatientResult) -> Iterator[Comparison | None]:
    """Compare two results as they are now, in short steps that keep the window responsive.

    The last step replaces the first result's overlay of the differences, and displays its regions as outlines only, so
    that the overlay is visible.

    Args:
        first: Result on whose grid both are compared.
        second: Other result of the same patient.

    Yields:
        None until the end, then the comparison.

    Raises:
        MissingNodeError: If the first result's reference volume is gone.
    """
    reference = first.require_reference()
    shape = slicer.util.arrayFromVolume(reference).shape
    regions = np.zeros((2, len(REGIONS), *shape), bool)
    for number, name in enumerate(REGIONS):
        regions[0, number] = first.region(name)
        yield None
        if second.segmentation.GetSegmentation().GetSegment(name) is not None:
            regions[1, number] = segment_voxels(second.segmentation, name, reference)
        yield None
    models = result_title(first), result_title(second)
    unclaimed = unclaimed_in(first.report, second.report)
    comparison = compare_regions(regions[0], regions[1], grid_of(reference), models, unclaimed)
    yield None
    _replace_difference(first, comparison)
    yield comparison


def show_side_by_side(first: PatientResult, second: PatientResult) -> int:
    """Display each result over its reference in a slice view of its own; the views are linked.

    Returns:
        Number of the layout that was displayed before.
    """
    before = enter_grid(2)
    layers = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    for number, result in enumerate((first, second), start=1):
        view = slicer.app.layoutManager().sliceWidget(view_name(number)).sliceLogic().GetSliceNode()
        display = display_node(result.segmentation)
        display.SetVisibility(True)
        display.SetVisibility2DFill(display_node(first.segmentation).GetVisibility2DFill())
        display.RemoveAllViewNodeIDs()
        display.AddViewNodeID(view.GetID())
        layers[view_name(number)].SetBackgroundVolumeID(result.require_reference().GetID())
        layers[view_name(number)].SetForegroundVolumeID(None)
    link_views([view_name(1), view_name(2)])
    jump_to_tumor(first)
    return before


def leave_side_by_side(first: PatientResult, second: PatientResult, before: int) -> None:
    """Return to an earlier layout, in which all views display the first result only.

    Args:
        first: Result that stays visible.
        second: Result that is hidden.
        before: Number of the earlier layout.
    """
    for result in (first, second):
        if result.segmentation.GetDisplayNode() is not None:  # None once the user has deleted the result
            result.segmentation.GetDisplayNode().RemoveAllViewNodeIDs()
            result.segmentation.GetDisplayNode().SetVisibility(result == first)
    leave_grid(before)


def _input_ids(result: PatientResult) -> set[str]:
    return {node.GetID() for node in result.inputs.values()}


def _replace_difference(result: PatientResult, comparison: Comparison) -> None:
    """Put the overlay of the differences into the result, in place of an earlier one."""
    for earlier in result.overlays(DIFFERENCE.name).values():
        colors = display_node(earlier).GetColorNode()
        remove_node(earlier)  # first: a legend without colors is an error
        slicer.mrmlScene.RemoveNode(colors)
    overlay, reference = comparison.difference, result.require_reference()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", overlay.title)
    node.CopyOrientation(reference)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    slicer.util.updateVolumeFromArray(node, overlay.array)
    node.CreateDefaultDisplayNodes()
    colors = create_color_table(f"{DIFFERENCE.title} colors", overlay.colormap, overlay.signed)
    describe_overlay(node, overlay, DIFFERENCE, 1, colors)
    set_threshold([node], _SMALLEST_SHOWN)
    result.segmentation.AddNodeReferenceID(COLORS_ROLE, colors.GetID())
    result.segmentation.AddNodeReferenceID(OVERLAY_ROLE, node.GetID())
    display_node(result.segmentation).SetVisibility2DFill(False)
    title = _("Difference to {other}").format(other=comparison.models[1])
    subject_hierarchy().CreateItem(create_result_folder(result.folder_item, title), node)
